"""The two queues that wait for a person: rows that Kafka did not take, and dead letters.

In    blueprints/queues.py
Out   the tables kafka_fallback_queue and dead_letters, and one line in `audit` per intervention

What is replayed goes through the fallback queue: the bridge sends it in order and behind its
breaker, and a dead letter keeps the seq it had, so an old word stays an old word.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, TextClause, text

from app.domain.errors import Poisoned
from app.domain.events import Event, from_fields, from_wire
from app.domain.routing import Topic, partition_key, priority_of, shard_of_event, topic_of
from app.domain.secrecy import shown
from app.stores import outgoing
from app.stores.audits import note
from app.stores.postgres import speaking

WHOLE = 10_000
"""A payload of this length or more may have been cut when it was put aside: it cannot be sent."""
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MAX_ID = 2**63 - 1
LANES = frozenset({Topic.CRITICAL.value, Topic.HIGH.value, Topic.LOW.value})
TOPICS = LANES | {Topic.READY.value}


@dataclass(frozen=True, slots=True)
class Doing:
    """Who intervenes, and in what."""

    actor_id: str
    ids: tuple[str, ...]


class Queues:
    def __init__(
        self,
        engine: Engine,
        max_retries: int,
        shards: int,
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._max_retries = max_retries
        self._shards = shards
        self._now = now

    def fallback(self, limit: int, before: int | None) -> list[dict[str, Any]]:
        """Rows that are not on Kafka yet, newest first."""
        values = {"limit": limit, "before": before or MAX_ID, "retries": self._max_retries}
        return self._rows(_FALLBACK, values)

    def dead_letters(self, limit: int, before: tuple[Any, str] | None) -> list[dict[str, Any]]:
        """Letters that wait, newest first."""
        moment, last = before or (None, None)
        rows = self._rows(_LETTERS, {"limit": limit, "moment": moment, "last": last})
        return [row | {"payload": row["payload"] and shown(row["payload"])} for row in rows]

    def replay_fallback(self, doing: Doing) -> int:
        """They count as new: the bridge tries them again."""
        return self._change("fallback.replay", doing, _numbers(doing.ids), _REPLAY_ROWS)

    def discard_fallback(self, doing: Doing) -> int:
        """They count as settled, and are never sent."""
        return self._change("fallback.discard", doing, _numbers(doing.ids), _DISCARD_ROWS)

    def discard_letters(self, doing: Doing) -> int:
        return self._change("dead_letters.discard", doing, _uuids(doing.ids), _DISCARD_LETTERS)

    def replay_letters(self, doing: Doing) -> int:
        """Back to where they were read. What is still poison comes back as a new letter; a message
        that fails again, as the same one."""
        with speaking("replay dead letters"), self._engine.begin() as sql:
            letters = sql.execute(_WAITING, {"ids": _uuids(doing.ids)}).mappings().all()
            known = [(one["id"], again(dict(one), self._shards)) for one in letters]
            rows = [row for _, row in known if row is not None]
            settled = [one for one, row in known if row is not None]
            settled += self._requeued(sql, [dict(one) for one in letters])
            if not settled:
                return 0
            sql.execute(_ENQUEUE, {"rows": orjson.dumps(rows).decode()})
            sql.execute(_REPLAYED, {"ids": settled})
            note(sql, doing.actor_id, "dead_letters.replay", " ".join(settled))
            return len(settled)

    def _requeued(self, sql: Connection, letters: Sequence[Mapping[str, Any]]) -> list[str]:
        """The letters whose e-mail or text message waits to be sent again."""
        mail = {int(one["position"]): one["id"] for one in letters if _is_message(one)}
        if not mail:
            return []
        return [mail[one] for one in outgoing.requeue(sql, list(mail), self._now())]

    def _rows(self, query: TextClause, values: dict[str, Any]) -> list[dict[str, Any]]:
        with speaking("show a queue"), self._engine.connect() as sql:
            return [dict(row) for row in sql.execute(query, values).mappings()]

    def _change(self, action: str, doing: Doing, ids: Sequence[Any], statement: TextClause) -> int:
        with speaking("change a queue"), self._engine.begin() as sql:
            changed = [str(one) for one in sql.execute(statement, {"ids": list(ids)}).scalars()]
            if changed:
                note(sql, doing.actor_id, action, " ".join(changed))
            return len(changed)


def _numbers(ids: Sequence[str]) -> list[int]:
    return [int(one) for one in ids if one.isascii() and one.isdigit() and int(one) <= MAX_ID]


def _uuids(ids: Sequence[str]) -> list[str]:
    """What is no id is an unknown one."""
    return [one for one in ids if UUID.fullmatch(one)]


def _is_message(letter: Mapping[str, Any]) -> bool:
    return bool(letter["origin"] == outgoing.ORIGIN)


def again(letter: Mapping[str, Any], shards: int) -> dict[str, Any] | None:
    """A letter as a row of the fallback queue; None when what it held is not whole."""
    payload = letter["payload"]
    if payload is None or len(payload) >= WHOLE or _is_message(letter):
        return None
    event = _event(letter, payload)
    record: dict[str, Any] = {"key": "", "raw": payload, "headers": []}
    topic = letter["origin"]
    if event is not None:
        value = event.to_wire(priority_of(event.kind, event.follower))
        record = {"key": partition_key(event), "value": value, "headers": []}
        topic = topic_of(event).value
    elif topic not in TOPICS:
        return None  # an ingress entry that still is no event: it never had a topic
    return {
        # Its own id: the event's may be in the queue already, as a row that was sent.
        "eventId": letter["id"],
        "shard": shard_of_event(event, shards) if event else 1,
        "seq": event.seq if event else 0,
        "topic": topic,
        "record": record,
    }


def _event(letter: Mapping[str, Any], payload: str) -> Event | None:
    """What the letter held, if it is an event after all (our code may have learnt since)."""
    try:
        held = orjson.loads(payload)
        if str(letter["origin"]).startswith("ingress:"):
            return from_fields(letter["position"], held) if isinstance(held, dict) else None
        return from_wire(held) if letter["origin"] in LANES else None
    except (Poisoned, orjson.JSONDecodeError):
        return None


_FALLBACK = text("""
    select id, event_id::text as "eventId", shard, seq, topic,
        case when retry_count > :retries then 'failed' else 'pending' end as status,
        retry_count as "retryCount", last_error as "lastError", created_at as "createdAt"
    from kafka_fallback_queue where not processed and id < :before order by id desc limit :limit
""")
_LETTERS = text("""
    select id::text, origin, position, reason, left(payload, 2000) as payload, status,
        created_at as "createdAt"
    from dead_letters where status = 'waiting' and (cast(:moment as timestamptz) is null
        or (created_at, id) < (cast(:moment as timestamptz), cast(:last as uuid)))
    order by created_at desc, id desc limit :limit
""")
_WAITING = text(
    "select id::text, origin, position, payload from dead_letters "
    "where id = any(cast(:ids as uuid[])) and status = 'waiting' order by id for update"
)
_REPLAY_ROWS = text(
    "update kafka_fallback_queue set retry_count = 0, last_error = null "
    "where id = any(cast(:ids as bigint[])) and not processed returning id"
)
_DISCARD_ROWS = text(
    "update kafka_fallback_queue set processed = true, processed_at = now(), "
    "last_error = 'discarded' where id = any(cast(:ids as bigint[])) and not processed returning id"
)
_DISCARD_LETTERS = text(
    "update dead_letters set status = 'discarded', settled_at = now() "
    "where id = any(cast(:ids as uuid[])) and status = 'waiting' returning id::text"
)
_REPLAYED = text(
    "update dead_letters set status = 'replayed', settled_at = now() "
    "where id = any(cast(:ids as uuid[]))"
)
_ENQUEUE = text("""
    insert into kafka_fallback_queue (event_id, shard, seq, topic, payload)
    select (r.row->>'eventId')::uuid, (r.row->>'shard')::int, (r.row->>'seq')::bigint,
        r.row->>'topic', r.row->'record'
    from jsonb_array_elements(cast(:rows as jsonb)) as r (row)
""")
