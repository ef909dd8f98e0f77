"""How far some events have come, all asked at once: for who sent them and watches them pass.

In    Redis trace:{eventId} and windows:due; notification_actors, notifications, outbox,
      kafka_fallback_queue
Out   GET /api/test/progress. Less than a trace (stores/traces.py): no ids of other things
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import Engine, text

from app import stale
from app.domain.events import SEQ_PER_MS
from app.domain.progress import GATHERED, Stand, stand
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import key, speaking
from app.stores.windows import DUE

Moments = dict[str, datetime]


@dataclass(slots=True)
class Progress:
    """One event: when it passed which step, what became of it, until when a window holds it."""

    event_id: str
    moments: Moments = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    about: tuple[str, str, str] | None = None
    """Recipient, kind and object, once an aggregator has seen it."""
    due_at: datetime | None = None

    @property
    def stand(self) -> Stand:
        return stand({name: self.outcomes.get(name, "") for name in self.moments})

    def shown(self) -> dict[str, Any]:
        steps = sorted(self.moments.items(), key=lambda pair: pair[1])
        outcome = self.outcomes.get("closed") or self.outcomes.get("aggregated")
        gathered = self.outcomes.get("aggregated") == GATHERED
        return {
            "eventId": self.event_id,
            "type": self.about[1] if self.about else None,
            "stand": self.stand.value,
            "outcome": outcome,
            "instant": None if "aggregated" not in self.moments else not gathered,
            "dueAt": self.due_at,
            "steps": [{"name": name, "at": at} for name, at in steps],
        }


class Watch:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine

    def of(self, event_ids: Sequence[str]) -> list[Progress]:
        """In the order asked. An unknown event is one that nobody has moved yet."""
        found = [Progress(one) for one in event_ids]
        with stale.unless_away():
            self._noted(found)
        self._told(found)
        return found

    def newest(self, limit: int) -> list[Progress]:
        """The events that were moved last, newest first; frames are noted among them."""
        names: list[str] = []
        with stale.unless_away():
            names = self._recent(5 * limit)
        events = [one for one in reversed(names) if not one.startswith("frame-")]
        return self.of(events[:limit])

    def _recent(self, limit: int) -> list[str]:
        with speaking("list what was noted"):
            names: Any = self._redis.lrange("trace:recent", -limit, -1)
        return [str(one) for one in names]

    def _noted(self, found: Sequence[Progress]) -> None:
        with speaking("tell what was noted"):
            pipeline = self._redis.pipeline(transaction=False)
            for one in found:
                pipeline.hgetall(key("trace", one.event_id))
            for one, noted in zip(found, pipeline.execute(), strict=True):
                _read(one, noted)
            held = [one for one in found if one.stand is Stand.HELD and one.about]
            for one in held:
                pipeline.zscore(DUE, ":".join(one.about or ()))
            for one, due in zip(held, pipeline.execute() if held else (), strict=True):
                one.due_at = None if due is None else _moment(int(due))

    def _told(self, found: Sequence[Progress]) -> None:
        """What the tables say: the queue, the rows of the groups, the frames about them."""
        by_id = {one.event_id: one for one in found}
        about = [one.about for one in found if one.about]
        values = {
            "ids": list(by_id),
            "users": [user for user, _, _ in about],
            "kinds": [kind for _, kind, _ in about],
            "objects": [thing for _, _, thing in about],
        }
        with asking_postgres("tell what was written"), self._engine.connect() as sql:
            for event_id, queued, sent in sql.execute(_QUEUED, values):
                by_id[event_id].moments |= _known(queued=queued, **{"sent from the queue": sent})
            frames = sql.execute(_WRITTEN, values).all() if about else []
        for event_id, written, relayed, _ in frames:
            by_id[event_id].moments |= _known(written=written, relayed=relayed)
        relayed_as = {row[0]: row[3] for row in frames if row[3] is not None}
        with stale.unless_away():
            self._emitted(by_id, relayed_as)

    def _emitted(self, by_id: Mapping[str, Progress], frames: Mapping[str, int]) -> None:
        with speaking("tell what went out"):
            pipeline = self._redis.pipeline(transaction=False)
            for place in frames.values():
                pipeline.hget(key("trace", f"frame-{place}"), "emitted")
            emitted = pipeline.execute() if frames else []
        for event_id, noted in zip(frames, emitted, strict=True):
            if noted:
                by_id[event_id].moments["emitted"] = _moment(int(noted.partition(" ")[0]))


def _read(one: Progress, noted: Mapping[str, str]) -> None:
    """trace:{id} is step -> "ms detail"; the aggregator's detail also says whose it is."""
    for step, value in noted.items():
        at, *words = value.split(" ")
        one.moments[step] = _moment(int(at))
        if step in ("published", "spilled"):
            one.moments["accepted"] = _moment(int(words[0]) // SEQ_PER_MS)
        else:
            one.outcomes[step] = words[0]
        if step == "aggregated":
            one.about = (words[2], words[3], words[4])


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _known(**moments: datetime | None) -> Moments:
    return {name: at for name, at in moments.items() if at is not None}


_QUEUED = text(
    "select event_id::text, created_at, processed_at from kafka_fallback_queue "
    "where event_id = any(cast(:ids as uuid[]))"
)
# By recipient, kind and object first: those have an index, event ids have none.
_WRITTEN = text("""
    with about as (
        select distinct * from unnest(cast(:users as uuid[]), cast(:kinds as text[]),
            cast(:objects as uuid[])) as a (user_id, kind, object_id)
    ), rows as (
        select coalesce(a.event_id, n.object_id) as event_id, n.id, n.user_id,
            coalesce(a.created_at, n.created_at) as written_at,
            a.created_at as joined_at
        from about join notifications n on n.user_id = about.user_id
            and n.type = about.kind and n.object_id = about.object_id
        left join notification_actors a on a.notification_id = n.id
    )
    select rows.event_id::text, rows.written_at, f.published_at, f.id
    from rows left join lateral (
        select o.id, o.published_at from outbox o where o.user_id = rows.user_id
            and o.seq is not null and o.payload->>'id' = rows.id::text
            and o.frame = 'notification'
            and (rows.joined_at is null or o.created_at >= rows.joined_at)
        order by o.seq limit 1
    ) f on true
    where rows.event_id = any(cast(:ids as uuid[]))
""")
