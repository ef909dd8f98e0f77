"""Searches the traces of events in Redis: all events of the last 24 hours that a worker has seen, also those
that were merged, muted or retracted, up to the newest hundred thousand.

In: a filter and the last trace of the page before. Out: ids and groups of the events found, newest
first; app/operations/trace.py reads their steps. One call reads a bounded number of traces, so a page may
have fewer events than asked for and still not be the last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from sqlalchemy import Engine

from app.clients import stale_reads
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, translate_errors
from app.domain.events import occurred_at_from_seq
from app.operations.activity_filter import ActivityFilter, list_object_ids_of_post

MAX_TRACES_PER_CALL = 5_000
"""About 0.1 s."""
TRACES_PER_ROUND_TRIP = 500
RECENT_TRACES_KEY = redis_key("trace", "recent")
_PUBLISHED_STEPS = ("published", "sent_to_fallback")
_GROUP_FIELDS = ("outcome", "seq", "recipient", "type", "object", "actor")


@dataclass(frozen=True, slots=True)
class FoundEvent:
    event_id: str
    accepted_at: datetime | None
    group: Mapping[str, str]
    """type, recipient, object and actor, as far as the event has them; empty until an aggregator read it."""


@dataclass(frozen=True, slots=True)
class EventSearchPage:
    events: Sequence[FoundEvent]
    last_read_name: str | None
    """Of a trace: where the next page continues. None: nothing older is left."""


class EventSearch:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine

    def find(self, wanted: ActivityFilter, limit: int, after_name: str | None = None) -> EventSearchPage:
        """`after_name`: `last_read_name` of the page before. Empty and stale without Redis. Raises
        Unavailable."""
        post_object_ids = self._list_post_object_ids(wanted)
        with stale_reads.mark_stale_if_redis_unavailable():
            return self._find(wanted, post_object_ids, limit, after_name)
        return EventSearchPage((), None)

    def _find(
        self, wanted: ActivityFilter, post_object_ids: Collection[str], limit: int, after_name: str | None
    ) -> EventSearchPage:
        names, is_complete = self._list_names(after_name)
        found: list[FoundEvent] = []
        for start in range(0, len(names), TRACES_PER_ROUND_TRIP):
            for event in self._read_events(names[start : start + TRACES_PER_ROUND_TRIP]):
                if event.accepted_at is None:
                    continue  # the trace has expired, or it is that of a client event
                if len(found) == limit:
                    return EventSearchPage(found, found[-1].event_id)
                if wanted.matches(event.group, event.accepted_at, post_object_ids):
                    found.append(event)
        return EventSearchPage(found, None if is_complete or not names else names[-1])

    def _list_post_object_ids(self, wanted: ActivityFilter) -> frozenset[str]:
        if wanted.post_id is None:
            return frozenset()
        with translate_postgres_errors("list the comments of a post"), self._engine.connect() as conn:
            return frozenset(list_object_ids_of_post(conn, wanted.post_id))

    def _list_names(self, after_name: str | None) -> tuple[list[str], bool]:
        """Names of traces, newest first, and whether nothing older is left. Older ones may be removed
        meanwhile, which moves positions towards the start; `after_name` is then still in the range read."""
        with translate_errors("list traces"):
            if after_name is None:
                first, last = -MAX_TRACES_PER_CALL, -1
            else:
                position: Any = self._redis.lpos(RECENT_TRACES_KEY, after_name, rank=-1)
                if position is None:
                    return [], True
                first, last = max(0, position - MAX_TRACES_PER_CALL), position
            names = [str(name) for name in self._redis.lrange(RECENT_TRACES_KEY, first, last)]
        if after_name is None:
            return names[::-1], len(names) < MAX_TRACES_PER_CALL
        end = names.index(after_name) if after_name in names else 0
        return names[:end][::-1], first == 0 or end == 0

    def _read_events(self, event_ids: Sequence[str]) -> list[FoundEvent]:
        with translate_errors("read traces"):
            pipeline = self._redis.pipeline(transaction=False)
            for event_id in event_ids:
                pipeline.hmget(redis_key("trace", event_id), "aggregated", *_PUBLISHED_STEPS)
            return [
                _found_event(event_id, *values)
                for event_id, values in zip(event_ids, pipeline.execute(), strict=True)
            ]


def _found_event(event_id: str, aggregated: str | None, *published: str | None) -> FoundEvent:
    """The values are "ms detail ..." (app/messaging/stage_counters.py)."""
    details = aggregated.split(" ")[1:] if aggregated else []
    group = {name: detail for name, detail in zip(_GROUP_FIELDS, details, strict=False) if detail != "-"}
    seq = group.pop("seq", None) or next((value.split(" ")[1] for value in published if value), None)
    group.pop("outcome", None)
    return FoundEvent(event_id, None if seq is None else occurred_at_from_seq(int(seq)), group)
