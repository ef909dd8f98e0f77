"""S3: the bridge, from the ingress streams into Kafka with all acknowledgements.

Against the same client library sending the same records with nothing else to do, and against the
bridge itself before a Kafka that takes everything at once: what Redis and parsing alone cost.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import gevent
from kafka import KafkaProducer

from app.domain.events import Event, Kind
from app.domain.routing import Topic, shard_of_event
from app.green import fairly
from app.offsets import lane_ends
from app.stores.redis import key
from app.streams.clients import connected
from app.streams.ingress import GROUP
from app.streams.kafka import Record
from app.streams.publisher import Publishes, record_of
from app.wiring import WorkerParts, new_id
from bench.figures import Figure, Goal, Slice, alternate, percentile, ratio
from bench.stage import Stage
from workers.bridge import BATCH, Bridge

EVENTS = 20_000
RECIPIENTS, POSTS = 2_000, 200
PULSE_SECONDS = 0.001
LANE = Topic.LOW.value
BRIDGE, LIBRARY, REDIS = (
    "bridge: ingress to Kafka",
    "kafka-python alone, the same records",
    "bridge before a Kafka that costs nothing",
)


class Nowhere:
    """Takes everything at once."""

    def publish(self, records: Sequence[Record]) -> None:
        return None


def figure(stage: Stage, rounds: int) -> Figure:
    wired = stage.parts
    wired.ready()
    events = _events()
    stalls: list[float] = []
    contestants = {
        BRIDGE: lambda: _bridging(wired, events, wired.publisher, EVENTS, stalls),
        LIBRARY: _library(wired, [record_of(one) for one in events]),
        REDIS: lambda: _bridging(wired, events, Nowhere(), 0, []),
    }
    for one in contestants.values():
        one()
    stalls.clear()
    measured = alternate(contestants, rounds)
    made = Figure("S3", f"{EVENTS:,} events from Redis into Kafka", "events/s", measured, LIBRARY)
    stall = percentile(stalls, 99)
    made.goals = [
        Goal("bridge / Redis alone", ratio(measured[BRIDGE], measured[REDIS]).median, 0.25),
        Goal("hub stall in ms, p99", stall, 10, at_most=True),
    ]
    made.facts["a greenlet that wants its turn each ms waits"] = (
        f"{percentile(stalls, 50):.1f} ms (p50), {stall:.1f} (p99), {max(stalls):.1f} (worst)"
    )
    made.notes = [
        f"A record per event, acks=all, idempotent; batches of {BATCH} a shard. CPU: this process.",
        "After each turn: nothing in the ingress, nothing pending, each event in its lane once.",
    ]
    return made


def _events() -> list[Event]:
    """Likes that wait for nobody's window: their people are in no table."""
    people = [new_id() for _ in range(RECIPIENTS)]
    posts = [new_id() for _ in range(POSTS)]
    return [
        Event(
            event_id=new_id(),
            kind=Kind.LIKE,
            recipient_id=people[place % RECIPIENTS],
            actor_id=people[-1 - place % RECIPIENTS],
            object_type="POST",
            object_id=posts[place % POSTS],
            seq=place + 1,
        )
        for place in range(EVENTS)
    ]


def _bridging(
    wired: WorkerParts,
    events: Sequence[Event],
    publisher: Publishes,
    grows_by: int,
    stalls: list[float],
) -> Slice:
    parts = wired.parts
    bridge = Bridge(parts.ingress, publisher, wired.fallback, wired.dead_letters, new_id)
    bridge.prepare()
    _fill(wired, events)
    before, moved = _in_the_lane(wired), 0
    with _pulse(stalls):
        spent, began = time.process_time(), time.perf_counter()
        while moved < EVENTS:
            moved += bridge.step()
        seconds, spent = time.perf_counter() - began, time.process_time() - spent
    bridge.release()
    _check(wired, _in_the_lane(wired) - before, grows_by)
    return Slice(moved, seconds, cpu_seconds=spent)


def _library(wired: WorkerParts, records: Sequence[Record]) -> Callable[[], Slice]:
    """As the product sets it up, and as its documentation uses it."""
    producer: KafkaProducer = connected(
        KafkaProducer,
        bootstrap_servers=list(wired.parts.settings.addresses.kafka_bootstrap_servers),
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
    )

    def turn() -> Slice:
        spent, began = time.process_time(), time.perf_counter()
        for one in fairly(records):  # else its own sender would only begin at the end
            headers = [(name, value.encode()) for name, value in one.headers]
            producer.send(one.topic, value=one.value, key=one.key.encode(), headers=headers)
        producer.flush(30)
        seconds, spent = time.perf_counter() - began, time.process_time() - spent
        return Slice(len(records), seconds, cpu_seconds=spent)

    return turn


def _fill(wired: WorkerParts, events: Sequence[Event]) -> None:
    """As wish.lua appends them."""
    parts = wired.parts
    shards = parts.settings.limits.ingress_shards
    for first in range(0, len(events), 1000):
        pipeline = parts.redis.pipeline(transaction=False)
        for one in events[first : first + 1000]:
            pipeline.xadd(key("ingress", shard_of_event(one, shards)), dict(one.to_fields()))
        pipeline.execute()


def _in_the_lane(wired: WorkerParts) -> int:
    ends = lane_ends(wired.parts.settings.addresses.kafka_bootstrap_servers)
    return sum(end for place, end in ends.items() if place.startswith(LANE))


def _check(wired: WorkerParts, grown: int, grows_by: int) -> None:
    """A bridge that lost its events, or put them aside, would be the fastest of all."""
    parts = wired.parts
    left = sum(parts.ingress.lengths().values())
    pending = sum(
        int(parts.redis.xpending(key("ingress", shard), GROUP)["pending"])
        for shard in parts.ingress.shards
    )
    if (left, pending, grown, wired.fallback.counts()) != (0, 0, grows_by, (0, 0)):
        raise RuntimeError(f"left {left}, pending {pending}, and {grown} of {grows_by} in the lane")


@contextmanager
def _pulse(late: list[float]) -> Iterator[None]:
    """Notes how late in ms a greenlet comes that wants its turn each millisecond."""

    def beat() -> None:
        while True:
            began = time.perf_counter()
            gevent.sleep(PULSE_SECONDS)
            late.append(max(0.0, time.perf_counter() - began - PULSE_SECONDS) * 1000)

    greenlet = gevent.spawn(beat)
    try:
        yield
    finally:
        greenlet.kill()
