"""Leases of ingress shards: one owner at a time, and fencing of owners that resume too late."""

import pytest
import redis

from app.ingest import ingress
from app.ingest.ingress import IngressStreams
from harness.waiting import poll_until
from tests.support.ingress_harness import (
    FIRST_OWNER,
    SECOND_OWNER,
    SHARD,
    append_events,
    event_ids_of,
    ingress_streams,
    read_entries,
)

__all__ = ["ingress_streams"]


def test_lease_has_one_owner(ingress_streams: IngressStreams) -> None:
    assert ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER) is False  # acquired
    assert ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER) is True  # renewed
    assert ingress_streams.acquire_or_renew_lease(SHARD, SECOND_OWNER) is None


def test_released_lease_can_be_acquired(ingress_streams: IngressStreams) -> None:
    ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER)

    ingress_streams.release_lease(SHARD, FIRST_OWNER)

    assert ingress_streams.acquire_or_renew_lease(SHARD, SECOND_OWNER) is False


def test_lease_is_released_by_its_owner_only(ingress_streams: IngressStreams) -> None:
    ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER)

    ingress_streams.release_lease(SHARD, SECOND_OWNER)

    assert ingress_streams.acquire_or_renew_lease(SHARD, SECOND_OWNER) is None


def test_lease_expires(
    redis_connection: redis.Redis, ingress_streams: IngressStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress, "LEASE_MS", 30)
    ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER)

    assert poll_until(lambda: ingress_streams.acquire_or_renew_lease(SHARD, SECOND_OWNER) is False)


def test_owner_that_resumes_after_its_lease_cannot_acknowledge(
    redis_connection: redis.Redis, ingress_streams: IngressStreams
) -> None:
    event_ids = append_events(ingress_streams, 3)
    ingress_streams.acquire_or_renew_lease(SHARD, FIRST_OWNER)
    entries = read_entries(ingress_streams)
    ingress_streams.release_lease(SHARD, FIRST_OWNER)
    ingress_streams.acquire_or_renew_lease(SHARD, SECOND_OWNER)

    assert not ingress_streams.acknowledge_entries(SHARD, FIRST_OWNER, entries)

    assert event_ids_of(read_entries(ingress_streams, reads_pending=True)) == event_ids
    assert redis_connection.xlen(f"ingress:{SHARD}") == 3
