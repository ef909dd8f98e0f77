"""The stages in the order data flows, each with in, out, held, failed, lag and oldest age.

In    stores/figures.py, the streams, tables and windows themselves; Kafka's offsets
Out   GET /api/admin/pipeline, GET /metrics

`in` is counted where events come in, where that is possible without another round trip (windows,
tables); elsewhere a thing is either still there or counted as gone, so the sum of both is `in`.
Held is always measured where it lies, never derived. A figure that a service does not tell is null.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
import redis
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.domain.events import SEQ_PER_MS, seq_of_stream_id
from app.domain.loops import READERS, STAGES
from app.offsets import Place
from app.stores.figures import Figures
from app.stores.open_windows import OpenWindows
from app.stores.outgoing import MAIL_BACKLOG
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import key, speaking
from app.stores.windows import DUE

MOST_WINDOWS = 20_000
ANSWER_SECONDS = 1.7
GROUPS = {
    stage: [group for group, loop in READERS.items() if loop.stage == stage]
    for stage in dict.fromkeys(loop.stage for loop in READERS.values() if loop.stage)
}
"""Whose lag a stage has."""
ORDER = (STAGES[0], "fallback", *STAGES[1:])


@dataclass(slots=True)
class Stage:
    name: str
    outcomes: dict[str, int] = field(default_factory=dict)
    held: int | None = 0
    lag: int | None = 0
    oldest: float | None = None
    came_in: int | None = None
    """None: what went out, failed and is held."""
    told: bool = True
    """False: who keeps its figures did not answer. That is not nought."""

    @property
    def failed(self) -> int:
        return self.outcomes.get("failed", 0)

    @property
    def out(self) -> int:
        return sum(count for name, count in self.outcomes.items() if name != "failed")

    def shown(self) -> dict[str, Any]:
        known = self.out + self.failed + (self.held or 0)
        came_in = known if self.came_in is None else self.came_in
        return {
            "name": self.name,
            "in": came_in if self.told else None,
            "out": self.out if self.told else None,
            "held": self.held,
            "failed": self.failed if self.told else None,
            "lag": self.lag,
            "oldestAgeSeconds": None if self.oldest is None else round(max(0.0, self.oldest), 1),
            "outcomes": self.outcomes,
        }


class StageReport:
    def __init__(
        self,
        connection: redis.Redis,
        engine: Engine,
        shards: Sequence[int],
        max_retries: int,
        lags: Callable[[], Sequence[Place]],
    ) -> None:
        self._redis = connection
        self._engine = engine
        self._shards = shards
        self._retries = max_retries
        self._lags = lags

    def stages(self) -> tuple[list[Stage], dict[str, str]]:
        """All of them, and which services did not tell theirs. All are asked at once: one that is
        frozen must not keep the others' figures from whoever looks for the cause."""
        found = {name: Stage(name) for name in ORDER}
        questions = {
            "redis": self._ask_redis,
            "postgres": self._ask_postgres,
            "kafka": self._ask_kafka,
        }
        asked = {name: gevent.spawn(_ask, ask, found) for name, ask in questions.items()}
        gevent.joinall(list(asked.values()))
        away = {name: said for name, one in asked.items() if (said := one.get()) is not None}
        for service in away:
            _unknown(found, service)
        return [found[name] for name in ORDER], away

    def _ask_redis(self, found: Mapping[str, Stage]) -> None:
        counted = Figures(self._redis).outcomes(STAGES)
        for name, outcomes in counted.items():
            found[name].outcomes = outcomes
        flusher = found["flusher"]
        flusher.came_in = flusher.outcomes.pop("in", 0)
        flusher.held = flusher.lag = OpenWindows(self._redis).waiting(MOST_WINDOWS)
        with speaking("tell what waits"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self._shards:
                pipeline.xlen(key("ingress", shard))
                pipeline.xrange(key("ingress", shard), count=1)
            pipeline.zrangebyscore(DUE, "(0", "+inf", start=0, num=1, withscores=True)
            *streams, due = pipeline.execute()
        bridge = found["bridge"]
        bridge.held = bridge.lag = sum(streams[::2])
        bridge.oldest = _oldest([one[0][0] for one in streams[1::2] if one])
        # Of windows the age is how long the first one is overdue: until then waiting is its work.
        overdue = time.time() - due[0][1] / 1000 if due else None
        flusher.oldest = overdue if overdue is not None and overdue > 0 else (0.0 if due else None)

    def _ask_postgres(self, found: Mapping[str, Stage]) -> None:
        with asking_postgres("tell what waits"), self._engine.connect() as sql:
            queue = sql.execute(_QUEUE, {"retries": self._retries}).one()
            waiting, oldest = sql.execute(_OUTBOX).one()
            unsent, unsent_oldest = sql.execute(MAIL_BACKLOG).one()
        fallback, relay = found["fallback"], found["relay"]
        fallback.outcomes = {"published": queue[0], "discarded": queue[1], "failed": queue[3]}
        fallback.came_in = queue[5]
        fallback.held = fallback.lag = queue[2]
        fallback.oldest = _seconds(queue[4])
        relay.held = relay.lag = waiting
        relay.oldest = _seconds(oldest)
        mail = found["mail"]  # its lag: what the ready topic has and the table has not
        mail.held, mail.oldest = unsent, _seconds(unsent_oldest)

    def _ask_kafka(self, found: Mapping[str, Stage]) -> None:
        places = self._lags()
        for name, groups in GROUPS.items():
            mine = [one for one in places if one.group in groups]
            stage = found[name]
            stage.lag = sum(one.lag for one in mine)
            if name == "aggregator":
                stage.lag = self._unread(mine)

    def _unread(self, places: Sequence[Place]) -> int:
        """A lane's committed offset waits for its windows; what it has read is further on."""
        with speaking("tell what was read"):
            read = self._redis.hgetall("windows:applied")
        lag = 0
        for one in places:
            applied = int(read.get(f"{one.topic}:{one.partition}", -1))
            lag += max(0, min(one.lag, one.end - applied - 1))
        return lag


def _ask(question: Callable[[Mapping[str, Stage]], None], found: Mapping[str, Stage]) -> str | None:
    """Why there is no answer; None when there is one."""
    try:
        with gevent.Timeout(ANSWER_SECONDS, Unavailable("no answer in time")):
            question(found)
    except Unavailable as fault:
        return str(fault)
    return None


def _unknown(found: Mapping[str, Stage], service: str) -> None:
    """Not nought: nobody knows."""
    silent = {
        "redis": ("bridge", "flusher"),
        "postgres": ("fallback", "relay", "mail"),
        "kafka": tuple(GROUPS),
    }[service]
    for name in {"redis": STAGES, "postgres": ("fallback",)}.get(service, ()):
        found[name].told = False
    for name in silent:
        found[name].lag = None
        if service != "kafka":
            found[name].held = None


def _oldest(stream_ids: Sequence[str]) -> float | None:
    if not stream_ids:
        return None
    first = min(seq_of_stream_id(one) for one in stream_ids)
    return time.time() - first / SEQ_PER_MS / 1000


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


_QUEUE = text("""
    select count(*) filter (where processed and last_error is distinct from 'discarded'),
        count(*) filter (where processed and last_error = 'discarded'),
        count(*) filter (where not processed and retry_count <= :retries),
        count(*) filter (where not processed and retry_count > :retries),
        extract(epoch from now() - min(created_at) filter (where not processed)), count(*)
    from kafka_fallback_queue
""")
_OUTBOX = text(
    "select count(*), extract(epoch from now() - min(created_at)) from outbox "
    "where published_at is null"
)
