"""Deliverer: pushes ready client events to the sockets of their recipients.

Input: topic ready-notifications. Output: app/messaging/socket_push.py, room of the user. Records carry no
names: they are looked up just before the push (app/persistence/serializer.py), so a delayed event shows
current names.
"""

from collections.abc import Callable, Sequence
from typing import Any

from app.domain.errors import Poisoned, Unavailable
from app.domain.grouping import UNREAD_COUNT_EVENT
from app.domain.redaction import with_encrypted_login_code
from app.failpoints import hit_failpoint
from app.messaging.consumer import KafkaSubscriber
from app.messaging.dead_letters import DeadLetter, DeadLetterQueue
from app.messaging.records import ConsumedRecord
from app.messaging.socket_push import SocketPush, SocketPushPublisher, user_room
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats
from app.persistence.serializer import Json, needs_user_lookup
from workers.ready_records import (
    LOG_ONLY_EVENTS,
    MAX_BATCH_RECORDS,
    POLL_TIMEOUT_SECONDS,
    last_offset_and_count_by_partition,
    next_offset_by_partition,
    parse_ready_record,
)

AddNames = Callable[[Sequence[Json]], list[Json]]
"""Returns payloads with current names of users. Raises Unavailable."""


class Deliverer:
    def __init__(
        self,
        subscriber: KafkaSubscriber,
        push: SocketPushPublisher,
        add_names: AddNames,
        dead_letters: DeadLetterQueue,
        cleared_up_to: Callable[[], int] = lambda: 0,
        record_stats: RecordStats = discard_stats,
    ) -> None:
        self._record_stats = record_stats
        self._subscriber = subscriber
        self._cleared_up_to = cleared_up_to
        self._push = push
        self._add_names = add_names
        self._dead_letters = dead_letters
        self._pending_records: list[ConsumedRecord] = []

    def step(self) -> int:
        if not self._pending_records:
            self._pending_records = self._subscriber.poll(POLL_TIMEOUT_SECONDS, MAX_BATCH_RECORDS)
        if not self._pending_records:
            return 0
        hit_failpoint("deliverer.polled")
        ready_records = [self._parse_or_dead_letter(record) for record in self._pending_records]
        # Outbox rows that an administrator cleared in the meantime are not pushed.
        cleared_id = self._cleared_up_to()
        client_events = [ready for ready in ready_records if ready is not None and ready["id"] > cleared_id]
        log_only = [ready for ready in client_events if ready["clientEvent"] in LOG_ONLY_EVENTS]
        client_events = [ready for ready in client_events if ready["clientEvent"] not in LOG_ONLY_EVENTS]
        last_badge_id_by_user = {
            ready["targetId"]: ready["id"]
            for ready in client_events
            if ready["clientEvent"] == UNREAD_COUNT_EVENT
        }
        # Of several unread counts of a user only the newest is pushed.
        to_emit = [
            client_event
            for client_event in client_events
            if client_event["clientEvent"] != UNREAD_COUNT_EVENT
            or last_badge_id_by_user[client_event["targetId"]] == client_event["id"]
        ]
        self._push_or_seek_back(to_emit)
        hit_failpoint("deliverer.emitted")
        self._subscriber.commit(next_offset_by_partition(self._pending_records))
        emitted = [ready for ready in client_events if ready["clientEvent"] != UNREAD_COUNT_EVENT]
        badge_count = len(last_badge_id_by_user)
        self._record_stats(
            BatchStats(
                "deliverer",
                count_by_outcome={
                    "delivered": len(emitted) + badge_count,
                    "merged": len(client_events) - len(emitted) - badge_count,
                    "self": len(log_only),
                    "expired": len(ready_records)
                    - ready_records.count(None)
                    - len(log_only)
                    - len(client_events),
                    "failed": ready_records.count(None),
                },
                partition_offsets=last_offset_and_count_by_partition(self._pending_records),
                trace_step="emitted",
                trace_details={f"client-event-{ready['id']}": ready["clientEvent"] for ready in emitted},
            )
        )
        moved_count, self._pending_records = len(self._pending_records), []
        return moved_count

    def _push_or_seek_back(self, client_events: list[dict[str, Any]]) -> None:
        """Pushes all of them, or seeks back so that all are pushed again later."""
        try:
            self._add_names_and_push(client_events)
        except Unavailable:
            # Read again later instead of kept in memory: a consumer that does not poll loses its
            # partitions after a minute.
            self._pending_records = []
            self._subscriber.seek_to_committed()
            raise

    def _add_names_and_push(self, client_events: list[dict[str, Any]]) -> None:
        """One look-up for all. When it fails, events without users (codes, alerts) are still pushed."""
        try:
            named_data = self._add_names([client_event["data"] for client_event in client_events])
        except Unavailable:
            without_users = [event for event in client_events if not needs_user_lookup(event["data"])]
            named_data = self._add_names([event["data"] for event in without_users])
            self._push.emit_all(map(_to_socket_push, without_users, named_data))
            raise
        self._push.emit_all(map(_to_socket_push, client_events, named_data))

    def _parse_or_dead_letter(self, record: ConsumedRecord) -> dict[str, Any] | None:
        try:
            return parse_ready_record(record.value)
        except Poisoned as exc:
            position = f"{record.partition}:{record.offset}"
            self._dead_letters.store_and_publish(DeadLetter(record.topic, position, str(exc), record.value))
            return None


def _to_socket_push(ready: dict[str, Any], named_data: Json) -> SocketPush:
    data = with_encrypted_login_code(named_data, ready.get("encryptedBody"))
    return ready["clientEvent"], data, user_room(ready["targetId"])
