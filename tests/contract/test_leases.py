"""Leases of ingress shards: one holder at a time, and a fence for those who wake too late."""

import pytest
import redis

from app.domain.routing import shard_of
from app.stores.memberships import Bounds
from app.streams import ingress as module
from app.streams.ingress import Ingress
from tests.cast import like, new_id, unknown_cast
from tests.contract.waiting import until

CAST = unknown_cast()
SHARD = shard_of(CAST.post, 4)
ONE, OTHER = "holder one", "holder two"


@pytest.fixture
def ingress(connection: redis.Redis) -> Ingress:
    made = Ingress(connection, Bounds(4, 1000, 5.0))
    made.create(SHARD)
    return made


def appended(ingress: Ingress, many: int) -> list[str]:
    """Ids of so many new events, in order."""
    events = [like(new_id(), CAST, n) for n in range(1, many + 1)]
    for event in events:
        ingress.append([event])
    return [event.event_id for event in events]


def read(ingress: Ingress, batch: int = 100, pending: bool = False) -> list:
    return ingress.read([SHARD], batch, pending).get(SHARD, [])


def ids(entries: list) -> list[str]:
    return [entry.fields["eventId"] for entry in entries]


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
