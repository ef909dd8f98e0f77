"""Leases of ingress shards: one holder at a time, and a fence for those who wake too late."""

import pytest
import redis

from app.streams import ingress as module
from app.streams.ingress import Ingress
from tests.contract.shard import ONE, OTHER, SHARD, appended, ids, ingress, read
from tests.contract.waiting import until

__all__ = ["ingress"]


def test_a_lease_has_one_holder(ingress: Ingress) -> None:
    assert ingress.hold(SHARD, ONE) is False  # from now on
    assert ingress.hold(SHARD, ONE) is True  # still
    assert ingress.hold(SHARD, OTHER) is None


def test_a_lease_that_was_given_back_can_be_taken(ingress: Ingress) -> None:
    ingress.hold(SHARD, ONE)

    ingress.release(SHARD, ONE)

    assert ingress.hold(SHARD, OTHER) is False


def test_nobody_gives_back_the_lease_of_another(ingress: Ingress) -> None:
    ingress.hold(SHARD, ONE)

    ingress.release(SHARD, OTHER)

    assert ingress.hold(SHARD, OTHER) is None


def test_a_lease_runs_out_by_itself(
    connection: redis.Redis, ingress: Ingress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE_MS", 30)
    ingress.hold(SHARD, ONE)

    assert until(lambda: ingress.hold(SHARD, OTHER) is False)


def test_a_holder_that_woke_too_late_cannot_acknowledge(
    connection: redis.Redis, ingress: Ingress
) -> None:
    sent = appended(ingress, 3)
    ingress.hold(SHARD, ONE)
    entries = read(ingress)
    ingress.release(SHARD, ONE)
    ingress.hold(SHARD, OTHER)

    assert not ingress.acknowledge(SHARD, ONE, entries)

    assert ids(read(ingress, pending=True)) == sent
    assert connection.xlen(f"ingress:{SHARD}") == 3
