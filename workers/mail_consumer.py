"""Mail consumer: turns ready notifications into rows of outgoing_messages.

Input: topic ready-notifications, consumer group "mailer-consumer". Output: rows for workers/mailer.py
(app/persistence/outgoing_messages.py). Nothing is sent here, so no poll waits for a mail server. Critical
messages are inserted by the event writer's transaction instead.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.domain.errors import Poisoned, Unavailable
from app.domain.events import CRITICAL_KINDS, MAX_SEQ, Kind, canonical_uuid
from app.domain.worker_loops import WORKER_LOOPS
from app.failpoints import hit_failpoint
from app.messaging.consumer import KafkaSubscriber
from app.messaging.records import ConsumedRecord
from app.persistence.message_enqueue import NewOutgoingMessage
from app.persistence.outgoing_messages import OutgoingMessages
from workers.ready_records import next_offset_by_partition, parse_ready_record

CONSUMER_GROUP = WORKER_LOOPS["mail-queue"].consumer_group
MAX_BATCH_RECORDS = 500
POLL_TIMEOUT_SECONDS = 0.5
NOTIFICATION_EVENT = "notification"
MESSAGE_CHANNELS = ("EMAIL", "SMS")
MAX_NOTIFICATION_VERSION = 2**31 - 1


class OutgoingMessagesWriter:
    """Reads ready records and adds the e-mails and text messages that they request to outgoing_messages."""

    def __init__(
        self,
        subscriber: KafkaSubscriber,
        outgoing_messages: OutgoingMessages,
        now: Callable[[], float],
    ) -> None:
        self._subscriber = subscriber
        self._outgoing_messages = outgoing_messages
        self._now = now

    def step(self) -> int:
        """Writes rows, then commits the offset: a record that is read twice adds nothing."""
        records = self._subscriber.poll(POLL_TIMEOUT_SECONDS, MAX_BATCH_RECORDS)
        if not records:
            return 0
        now = datetime.fromtimestamp(self._now(), UTC)
        new_messages = [message for record in records if (message := message_from_ready_record(record, now))]
        try:
            self._outgoing_messages.add_messages(new_messages)
            hit_failpoint("mail-queue.queued")
        except Unavailable:
            self._subscriber.seek_to_committed()
            raise
        self._subscriber.commit(next_offset_by_partition(records))
        return len(records)


def message_from_ready_record(record: ConsumedRecord, now: datetime) -> NewOutgoingMessage | None:
    """The message to send for a record; None for most. The deliverer dead-letters unreadable records."""
    try:
        ready = parse_ready_record(record.value)
        data = ready["data"]
        channels = _email_sms_channels(data)
        kind = Kind(data["type"])
        if ready["clientEvent"] != NOTIFICATION_EVENT or not channels or kind in CRITICAL_KINDS:
            return None
        return NewOutgoingMessage(
            user_id=ready["targetId"],
            client_seq=_validate_bounded_int(ready.get("seq"), MAX_SEQ),
            notification_id=canonical_uuid(data.get("id"), "id"),
            version=_validate_bounded_int(data.get("version"), MAX_NOTIFICATION_VERSION),
            kind=kind,
            channels=channels,
            created_at=now,
        )
    except (Poisoned, KeyError):
        return None


def _email_sms_channels(data: dict[str, Any]) -> tuple[str, ...]:
    requested_channels = (data.get("metadata") or {}).get("channels", [])
    return tuple(channel for channel in MESSAGE_CHANNELS if channel in requested_channels)


def _validate_bounded_int(value: object, maximum: int) -> int:
    if not isinstance(value, int) or not 0 <= value <= maximum:
        raise Poisoned("a number is out of range")
    return value
