"""The ingress as the bridge uses it: reading in order, taking over pending entries, acknowledging."""

import time
from threading import Timer

import pytest
import redis

from app.domain.errors import Unavailable
from app.ingest.ingress import IngressStreams
from app.ingest.memberships import IngressLimits
from tests.support.ingress_harness import (
    FIRST_OWNER,
    SHARD,
    append_events,
    event_ids_of,
    ingress_streams,
    read_entries,
)

__all__ = ["ingress_streams"]


def test_entries_are_read_once_in_order(ingress_streams: IngressStreams) -> None:
    event_ids = append_events(ingress_streams, 5)

    pages = [event_ids_of(read_entries(ingress_streams, batch_size=3)) for _ in range(3)]

    assert pages == [event_ids[:3], event_ids[3:], []]


def test_entries_older_than_the_consumer_group_are_read(redis_connection: redis.Redis) -> None:
    ingress_streams = IngressStreams(redis_connection, IngressLimits(4, 1000, 5.0))
    event_ids = append_events(ingress_streams, 2)

    ingress_streams.create_shard(SHARD)

    assert event_ids_of(read_entries(ingress_streams)) == event_ids


def test_creating_a_shard_again_keeps_its_position(ingress_streams: IngressStreams) -> None:
    append_events(ingress_streams, 2)
    read_entries(ingress_streams)

    ingress_streams.create_shard(SHARD)

    assert read_entries(ingress_streams) == []


def test_pending_entries_of_a_dead_owner_are_read_again_in_order(
    ingress_streams: IngressStreams,
) -> None:
    event_ids = append_events(ingress_streams, 4)
    read_entries(ingress_streams)

    pages = [event_ids_of(read_entries(ingress_streams, batch_size=3, reads_pending=True)) for _ in range(2)]

    # Pending entries are read from the first on, until they are acknowledged.
    assert pages == [event_ids[:3], event_ids[:3]]


def test_acknowledged_entries_are_deleted(
    redis_connection: redis.Redis, ingress_streams: IngressStreams
) -> None:
    event_ids = append_events(ingress_streams, 4)
    ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER)
    entries = read_entries(ingress_streams)

    assert ingress_streams.acknowledge_entries(SHARD, FIRST_OWNER, entries[:3])

    assert event_ids_of(read_entries(ingress_streams, reads_pending=True)) == event_ids[3:]
    assert redis_connection.xlen(f"ingress:{SHARD}") == 1


def test_new_entry_is_not_trimmed_with_acknowledged_ones(ingress_streams: IngressStreams) -> None:
    append_events(ingress_streams, 2)
    ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER)
    entries = read_entries(ingress_streams)
    [new_event_id] = append_events(ingress_streams, 1)

    ingress_streams.acknowledge_entries(SHARD, FIRST_OWNER, entries)

    assert event_ids_of(read_entries(ingress_streams)) == [new_event_id]


def test_thousands_are_acknowledged_in_one_call(
    redis_connection: redis.Redis, ingress_streams: IngressStreams
) -> None:
    """More than the 8,000 values that unpack() in Lua accepts."""
    pipeline = redis_connection.pipeline()
    for _ in range(9_000):
        pipeline.xadd(f"ingress:{SHARD}", {"type": "LIKE"})
    pipeline.execute()
    ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER)
    entries = read_entries(ingress_streams, batch_size=10_000)

    assert ingress_streams.acknowledge_entries(SHARD, FIRST_OWNER, entries)

    assert redis_connection.xpending(f"ingress:{SHARD}", "bridge")["pending"] == 0
    assert redis_connection.xlen(f"ingress:{SHARD}") == 0


def test_deleted_pending_entry_is_read_without_fields(
    redis_connection: redis.Redis, ingress_streams: IngressStreams
) -> None:
    append_events(ingress_streams, 2)
    first, _ = read_entries(ingress_streams)
    redis_connection.xdel(f"ingress:{SHARD}", first.stream_id)

    entries = read_entries(ingress_streams, reads_pending=True)

    assert [entry.fields is None for entry in entries] == [True, False]


def test_emptied_redis_is_detected(redis_connection: redis.Redis, ingress_streams: IngressStreams) -> None:
    redis_connection.flushall()

    with pytest.raises(Unavailable) as error:
        read_entries(ingress_streams)

    assert error.value.code == "ingress_missing"


def test_wait_ends_with_the_first_new_entry(ingress_streams: IngressStreams) -> None:
    Timer(0.1, append_events, (ingress_streams, 1)).start()
    started_at = time.monotonic()

    ingress_streams.wait_for_entries({SHARD: "0-0"}, timeout_seconds=5)

    assert time.monotonic() - started_at < 4
    assert len(read_entries(ingress_streams)) == 1  # waiting consumes nothing


def test_wait_ends_at_its_timeout(ingress_streams: IngressStreams) -> None:
    ingress_streams.wait_for_entries({SHARD: "0-0"}, timeout_seconds=0.05)

    assert read_entries(ingress_streams) == []


def test_lengths_of_all_shards_are_returned(ingress_streams: IngressStreams) -> None:
    append_events(ingress_streams, 3)

    assert ingress_streams.length_by_shard() == {shard: 3 if shard == SHARD else 0 for shard in range(5)}
