"""S3: throughput of the bridge from the ingress streams into Kafka with acks=all.

Compared with the Kafka client library alone sending the same records, and with the bridge and a
publisher that does nothing: the cost of Redis and parsing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import gevent
from kafka import KafkaProducer

from app.bootstrap import WorkerServices, new_id
from app.clients.gevent_setup import iterate_cooperatively
from app.clients.kafka import create_kafka_client
from app.domain.events import Event, Kind
from app.domain.routing import Topic, ingress_shard_of_event
from app.ingest.ingress import CONSUMER_GROUP, ingress_key
from app.messaging.publisher import RecordPublisher, event_to_record
from app.messaging.records import ProducerRecord
from app.operations.consumer_lag import read_priority_topic_end_offsets
from app.persistence.followers import FollowerLookup
from bench.harness import BenchHarness
from bench.results import (
    BenchmarkResult,
    Goal,
    Measurement,
    measure_alternately,
    percentile,
    spread,
    throughput_ratio,
)
from workers.bridge import MAX_BATCH_ENTRIES, Bridge

EVENT_COUNT = 20_000
RECIPIENT_COUNT, POST_COUNT = 2_000, 200
STALL_PROBE_INTERVAL_SECONDS = 0.001
LANE_TOPIC = Topic.LOW.value
BRIDGE_VARIANT, KAFKA_CLIENT_VARIANT, REDIS_ONLY_VARIANT = (
    "bridge: ingress to Kafka",
    "kafka-python alone, the same records",
    "bridge with a publisher that does nothing",
)


class NullPublisher:
    """Returns at once."""

    def publish(self, records: Sequence[ProducerRecord]) -> None:
        return None


def run_benchmark(harness: BenchHarness, rounds: int) -> BenchmarkResult:
    worker_services = harness.worker_services
    worker_services.check_dependencies_and_create_topics()
    events = _build_events()
    stalls_ms_by_round: list[list[float]] = []
    measure_by_variant: dict[str, Callable[[], Measurement]] = {
        BRIDGE_VARIANT: lambda: _measure_bridge(
            worker_services, events, worker_services.publisher, EVENT_COUNT, stalls_ms_by_round
        ),
        KAFKA_CLIENT_VARIANT: _kafka_client_measurement(
            worker_services, [event_to_record(event) for event in events]
        ),
        REDIS_ONLY_VARIANT: lambda: _measure_bridge(worker_services, events, NullPublisher(), 0, []),
    }
    for measure in measure_by_variant.values():
        measure()
    stalls_ms_by_round.clear()
    measurements = measure_alternately(measure_by_variant, rounds)
    benchmark_result = BenchmarkResult(
        "S3",
        f"{EVENT_COUNT:,} events from Redis into Kafka",
        "events/s",
        measurements,
        KAFKA_CLIENT_VARIANT,
    )
    stall_p99s_ms = [percentile(stalls_ms, 99) for stalls_ms in stalls_ms_by_round]
    benchmark_result.goals = [
        Goal(
            "bridge / Redis alone",
            throughput_ratio(measurements[BRIDGE_VARIANT], measurements[REDIS_ONLY_VARIANT]),
            0.5,
        ),
        Goal("hub delay in ms, p99", spread(stall_p99s_ms), 10, is_upper_bound=True),
    ]
    benchmark_result.facts["longest delay in ms of a greenlet that sleeps 1 ms"] = spread(
        [max(stalls_ms) for stalls_ms in stalls_ms_by_round]
    )
    benchmark_result.notes = [
        f"A record per event, acks=all, idempotent; up to {MAX_BATCH_ENTRIES} entries per shard and step. "
        "CPU: this process.",
        "Checked after each round: the ingress is empty, nothing is pending, all events are in the topic.",
    ]
    return benchmark_result


def _build_events() -> list[Event]:
    """Likes of users and posts that are in no table."""
    user_ids = [new_id() for _ in range(RECIPIENT_COUNT)]
    post_ids = [new_id() for _ in range(POST_COUNT)]
    return [
        Event(
            event_id=new_id(),
            kind=Kind.LIKE,
            recipient_id=user_ids[i % RECIPIENT_COUNT],
            actor_id=user_ids[-1 - i % RECIPIENT_COUNT],
            object_type="POST",
            object_id=post_ids[i % POST_COUNT],
            seq=i + 1,
        )
        for i in range(EVENT_COUNT)
    ]


def _measure_bridge(
    worker_services: WorkerServices,
    events: Sequence[Event],
    publisher: RecordPublisher,
    expected_growth: int,
    stalls_ms_by_round: list[list[float]],
) -> Measurement:
    services = worker_services.services
    bridge = Bridge(
        services.ingress,
        publisher,
        worker_services.fallback_queue,
        worker_services.dead_letters,
        FollowerLookup(services.engine, services.memberships.pending_follows).find_existing,
        new_id,
    )
    bridge.create_consumer_groups()
    _fill_ingress(worker_services, events)
    records_before, moved_count = _count_lane_records(worker_services), 0
    stalls_ms: list[float] = []
    with _probe_hub_stalls(stalls_ms):
        cpu_seconds, started_at = time.process_time(), time.perf_counter()
        while moved_count < EVENT_COUNT:
            moved_count += bridge.step()
        seconds, cpu_seconds = time.perf_counter() - started_at, time.process_time() - cpu_seconds
    stalls_ms_by_round.append(stalls_ms)
    bridge.release_leases()
    _require_all_bridged(
        worker_services, _count_lane_records(worker_services) - records_before, expected_growth
    )
    return Measurement(moved_count, seconds, cpu_seconds=cpu_seconds)


def _kafka_client_measurement(
    worker_services: WorkerServices, records: Sequence[ProducerRecord]
) -> Callable[[], Measurement]:
    """A producer configured like the product's."""
    producer: KafkaProducer = create_kafka_client(
        KafkaProducer,
        worker_services.services.settings.service_urls.kafka_connection,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
    )

    def measure() -> Measurement:
        cpu_seconds, started_at = time.process_time(), time.perf_counter()
        for record in iterate_cooperatively(records):  # yields, so that the producer's sender runs meanwhile
            headers = [(name, value.encode()) for name, value in record.headers]
            producer.send(record.topic, value=record.value, key=record.key.encode(), headers=headers)
        producer.flush(30)
        seconds, cpu_seconds = time.perf_counter() - started_at, time.process_time() - cpu_seconds
        return Measurement(len(records), seconds, cpu_seconds=cpu_seconds)

    return measure


def _fill_ingress(worker_services: WorkerServices, events: Sequence[Event]) -> None:
    """Appends the events as set_membership.lua does."""
    services = worker_services.services
    shard_count = services.settings.limits.ingress_shards
    for start in range(0, len(events), 1000):
        pipeline = services.redis.pipeline(transaction=False)
        for event in events[start : start + 1000]:
            pipeline.xadd(
                ingress_key(ingress_shard_of_event(event, shard_count)),
                dict(event.to_stream_fields()),  # type: ignore[arg-type]
            )
        pipeline.execute()


def _count_lane_records(worker_services: WorkerServices) -> int:
    end_offsets = read_priority_topic_end_offsets(
        worker_services.services.settings.service_urls.kafka_connection
    )
    return sum(
        end_offset for partition, end_offset in end_offsets.items() if partition.startswith(LANE_TOPIC)
    )


def _require_all_bridged(worker_services: WorkerServices, actual_growth: int, expected_growth: int) -> None:
    """Raises RuntimeError if events were lost, left or put into the fallback queue."""
    services = worker_services.services
    ingress_length = sum(services.ingress.length_by_shard().values())
    pending_count = sum(
        int(services.redis.xpending(ingress_key(shard), CONSUMER_GROUP)["pending"])
        for shard in services.ingress.shards
    )
    if (
        ingress_length,
        pending_count,
        actual_growth,
        worker_services.fallback_queue.count_pending_and_failed(),
    ) != (0, 0, expected_growth, (0, 0)):
        raise RuntimeError(
            f"left {ingress_length}, pending {pending_count}, "
            f"{actual_growth} of {expected_growth} records in the topic"
        )


@contextmanager
def _probe_hub_stalls(stalls_ms: list[float]) -> Iterator[None]:
    """Measures how much longer than 1 ms a sleep of 1 ms takes on this hub."""

    def probe() -> None:
        while True:
            started_at = time.perf_counter()
            gevent.sleep(STALL_PROBE_INTERVAL_SECONDS)
            stalls_ms.append(max(0.0, time.perf_counter() - started_at - STALL_PROBE_INTERVAL_SECONDS) * 1000)

    greenlet = gevent.spawn(probe)
    try:
        yield
    finally:
        greenlet.kill()
