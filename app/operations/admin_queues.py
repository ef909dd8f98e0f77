"""The two queues an administrator can inspect: rows of the fallback queue and dead letters.

Used by blueprints/admin/admin_queues.py. Tables: kafka_fallback_queue, dead_letters, and one row of
audit_log per change. Replayed items go through the fallback queue: the bridge publishes them in order, and
a dead letter keeps its seq, so an old event stays older than newer ones.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, TextClause, text

from app.clients.postgres import translate_errors
from app.domain.errors import Poisoned
from app.domain.event_codec import event_from_stream_fields, event_from_wire
from app.domain.events import CANONICAL_UUID, Event
from app.domain.redaction import redact_for_display
from app.domain.routing import (
    PRIORITY_TOPICS,
    Topic,
    ingress_shard_of_event,
    partition_key,
    priority_of,
    topic_of,
)
from app.operations.audit_log import insert_audit_entry
from app.persistence import outgoing_messages
from app.persistence.pages import Page, PageRequest, cut_page

TRUNCATED_AT = 10_000
"""A payload this long may have been truncated when it was stored, so it cannot be replayed."""
MAX_ID = 2**63 - 1
REPLAYABLE_TOPICS = PRIORITY_TOPICS | {Topic.READY.value}


class AdminQueues:
    def __init__(
        self,
        engine: Engine,
        max_retries: int,
        shard_count: int,
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._max_retries = max_retries
        self._shard_count = shard_count
        self._now = now

    def list_fallback_rows(self, page: PageRequest) -> Page[dict[str, Any]]:
        """Rows not published yet, newest first: sorted by id."""
        (before_id,) = page.after_key or (MAX_ID,)
        params = {"before": before_id, "retries": self._max_retries}
        return self._fetch_page(_LIST_FALLBACK, params, page, ("id",))

    def list_dead_letters(self, page: PageRequest) -> Page[dict[str, Any]]:
        """Dead letters not resolved yet, newest first: sorted by time and id."""
        before_created_at, before_id = page.after_key or (None, None)
        params = {"before_created_at": before_created_at, "before_id": before_id}
        letters = self._fetch_page(_LIST_DEAD_LETTERS, params, page, ("createdAt", "id"))
        return letters.with_items(
            [
                row | {"payload": row["payload"] and redact_for_display(row["payload"])}
                for row in letters.items
            ]
        )

    def reset_fallback_retries(self, admin_id: str, ids: Sequence[str]) -> int:
        """Resets the retry count, so that the bridge tries them again."""
        return self._update_rows_and_audit(
            "fallback.replay", admin_id, _parse_valid_row_ids(ids), _RETRY_FALLBACK
        )

    def discard_fallback_rows(self, admin_id: str, ids: Sequence[str]) -> int:
        """Marks them as processed; they are never published."""
        return self._update_rows_and_audit(
            "fallback.discard", admin_id, _parse_valid_row_ids(ids), _DISCARD_FALLBACK
        )

    def discard_dead_letters(self, admin_id: str, ids: Sequence[str]) -> int:
        return self._update_rows_and_audit(
            "dead_letters.discard", admin_id, _drop_invalid_uuids(ids), _DISCARD_DEAD_LETTERS
        )

    def replay_dead_letters(self, admin_id: str, ids: Sequence[str]) -> int:
        """Publishes them to the topic they were read from. One that fails again becomes a new dead letter;
        an outgoing message that fails again, the same one."""
        with translate_errors("replay dead letters"), self._engine.begin() as conn:
            rows = conn.execute(_LOCK_WAITING_LETTERS, {"ids": _drop_invalid_uuids(ids)}).mappings()
            dead_letters = [dict(row) for row in rows]
            fallback_rows = [
                fallback_row
                for dead_letter in dead_letters
                if (fallback_row := dead_letter_to_fallback_row(dead_letter, self._shard_count))
            ]
            replayed_ids = [row["eventId"] for row in fallback_rows]
            replayed_ids += self._requeue_emails_and_texts(conn, dead_letters)
            if not replayed_ids:
                return 0
            conn.execute(_INSERT_FALLBACK, {"rows": orjson.dumps(fallback_rows).decode()})
            conn.execute(_MARK_REPLAYED, {"ids": replayed_ids})
            insert_audit_entry(conn, admin_id, "dead_letters.replay", " ".join(replayed_ids))
            return len(replayed_ids)

    def _requeue_emails_and_texts(
        self, conn: Connection, dead_letters: Sequence[Mapping[str, Any]]
    ) -> list[str]:
        """The ids of dead letters whose e-mail or text message was queued again."""
        letter_by_message = {
            int(dead_letter["position"]): dead_letter["id"]
            for dead_letter in dead_letters
            if _is_email_or_sms(dead_letter)
        }
        if not letter_by_message:
            return []
        return [
            letter_by_message[message_id]
            for message_id in outgoing_messages.requeue_failed_messages(
                conn, list(letter_by_message), self._now()
            )
        ]

    def _fetch_page(
        self, query: TextClause, params: dict[str, Any], page: PageRequest, sort_names: Sequence[str]
    ) -> Page[dict[str, Any]]:
        with translate_errors("list a queue"), self._engine.connect() as conn:
            rows = conn.execute(query, params | {"limit": page.limit + 1}).mappings()
            items = [dict(row) for row in rows]
        return cut_page(items, page.limit, lambda row: tuple(row[name] for name in sort_names))

    def _update_rows_and_audit(
        self, action_name: str, admin_id: str, ids: Sequence[Any], statement: TextClause
    ) -> int:
        with translate_errors("change a queue"), self._engine.begin() as conn:
            changed_ids = [str(changed_id) for changed_id in conn.execute(statement, {"ids": ids}).scalars()]
            if changed_ids:
                insert_audit_entry(conn, admin_id, action_name, " ".join(changed_ids))
            return len(changed_ids)


def _parse_valid_row_ids(ids: Sequence[str]) -> list[int]:
    return [int(row_id) for row_id in ids if row_id.isascii() and row_id.isdigit() and int(row_id) <= MAX_ID]


def _drop_invalid_uuids(ids: Sequence[str]) -> list[str]:
    """Invalid ids are ignored, like unknown ones."""
    return [value for value in ids if CANONICAL_UUID.fullmatch(value.lower())]


def _is_email_or_sms(dead_letter: Mapping[str, Any]) -> bool:
    return bool(dead_letter["origin"] == outgoing_messages.DEAD_LETTER_ORIGIN)


def dead_letter_to_fallback_row(dead_letter: Mapping[str, Any], shard_count: int) -> dict[str, Any] | None:
    """A dead letter as a row of the fallback queue; None when its payload is incomplete."""
    payload = dead_letter["payload"]
    if payload is None or len(payload) >= TRUNCATED_AT or _is_email_or_sms(dead_letter):
        return None
    event = _parse_dead_letter_event(dead_letter, payload)
    record: dict[str, Any] = {"key": "", "raw": payload, "headers": []}
    topic = dead_letter["origin"]
    if event is not None:
        value = event.to_wire(priority_of(event.kind, event.is_follower))
        record = {"key": partition_key(event), "value": value, "headers": []}
        topic = topic_of(event).value
    elif topic not in REPLAYABLE_TOPICS:
        return None  # an ingress entry that cannot be parsed never had a topic
    return {
        # The id of the dead letter: a processed row with the event's id may exist.
        "eventId": dead_letter["id"],
        "shard": ingress_shard_of_event(event, shard_count) if event else 1,
        "seq": event.seq if event else 0,
        "topic": topic,
        "record": record,
    }


def _parse_dead_letter_event(dead_letter: Mapping[str, Any], payload: str) -> Event | None:
    """The event of a dead letter, if it can be parsed (the code may have changed since)."""
    try:
        fields = orjson.loads(payload)
        if str(dead_letter["origin"]).startswith("ingress:"):
            return (
                event_from_stream_fields(dead_letter["position"], fields)
                if isinstance(fields, dict)
                else None
            )
        return event_from_wire(fields) if dead_letter["origin"] in PRIORITY_TOPICS else None
    except (Poisoned, orjson.JSONDecodeError):
        return None


_LIST_FALLBACK = text("""
    select id, event_id::text as "eventId", shard, seq, topic,
        case when retry_count > :retries then 'failed' else 'pending' end as status,
        retry_count as "retryCount", last_error as "lastError", created_at as "createdAt"
    from kafka_fallback_queue where not processed and id < :before order by id desc limit :limit
""")
_LIST_DEAD_LETTERS = text("""
    select id::text, origin, position, reason, left(payload, 2000) as payload, status,
        created_at as "createdAt"
    from dead_letters where status = 'waiting' and (cast(:before_created_at as timestamptz) is null
        or (created_at, id) < (cast(:before_created_at as timestamptz), cast(:before_id as uuid)))
    order by created_at desc, dead_letters.id desc limit :limit
""")
_LOCK_WAITING_LETTERS = text(
    "select id::text, origin, position, payload from dead_letters "
    "where id = any(cast(:ids as uuid[])) and status = 'waiting' order by id for update"
)
_RETRY_FALLBACK = text(
    "update kafka_fallback_queue set retry_count = 0, last_error = null "
    "where id = any(cast(:ids as bigint[])) and not processed returning id"
)
_DISCARD_FALLBACK = text(
    "update kafka_fallback_queue set processed = true, processed_at = now(), "
    "last_error = 'discarded' where id = any(cast(:ids as bigint[])) and not processed returning id"
)
_DISCARD_DEAD_LETTERS = text(
    "update dead_letters set status = 'discarded', resolved_at = now() "
    "where id = any(cast(:ids as uuid[])) and status = 'waiting' returning id::text"
)
_MARK_REPLAYED = text(
    "update dead_letters set status = 'replayed', resolved_at = now() where id = any(cast(:ids as uuid[]))"
)
_INSERT_FALLBACK = text("""
    insert into kafka_fallback_queue (event_id, shard, seq, topic, payload)
    select (r.row->>'eventId')::uuid, (r.row->>'shard')::int, (r.row->>'seq')::bigint,
        r.row->>'topic', r.row->'record'
    from jsonb_array_elements(cast(:rows as jsonb)) as r (row)
""")
