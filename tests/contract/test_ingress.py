"""The ingress as the bridge sees it: leases, reading in order, taking over, acknowledging last."""

import time
from threading import Timer

import pytest
import redis

from app.domain.errors import Unavailable
from app.stores.memberships import Bounds
from app.streams.ingress import Ingress
from tests.contract.conftest import fake_is_weaker
from tests.contract.shard import ONE, SHARD, appended, ids, ingress, read

__all__ = ["ingress"]


def test_entries_are_read_once_and_in_order(ingress: Ingress) -> None:
    sent = appended(ingress, 5)

    pages = [ids(read(ingress, batch=3)) for _ in range(3)]

    assert pages == [sent[:3], sent[3:], []]


def test_entries_from_before_the_group_are_read_too(connection: redis.Redis) -> None:
    fresh = Ingress(connection, Bounds(4, 1000, 5.0))
    sent = appended(fresh, 2)

    fresh.create(SHARD)

    assert ids(read(fresh)) == sent


def test_making_a_shard_again_keeps_its_place(ingress: Ingress) -> None:
    appended(ingress, 2)
    read(ingress)

    ingress.create(SHARD)

    assert read(ingress) == []


def test_what_a_dead_holder_left_is_found_again_in_order(ingress: Ingress) -> None:
    sent = appended(ingress, 4)
    read(ingress)

    again = [ids(read(ingress, batch=3, pending=True)) for _ in range(2)]

    # Pending entries are read from the first on, until they are acknowledged.
    assert again == [sent[:3], sent[:3]]


def test_acknowledged_entries_are_gone(connection: redis.Redis, ingress: Ingress) -> None:
    sent = appended(ingress, 4)
    ingress.hold(SHARD, ONE)
    entries = read(ingress)

    assert ingress.acknowledge(SHARD, ONE, entries[:3])

    assert ids(read(ingress, pending=True)) == sent[3:]
    assert connection.xlen(f"ingress:{SHARD}") == 1


def test_a_new_entry_is_not_trimmed_with_the_old_ones(ingress: Ingress) -> None:
    appended(ingress, 2)
    ingress.hold(SHARD, ONE)
    entries = read(ingress)
    [late] = appended(ingress, 1)

    ingress.acknowledge(SHARD, ONE, entries)

    assert ids(read(ingress)) == [late]


def test_thousands_are_acknowledged_in_one_call(connection: redis.Redis, ingress: Ingress) -> None:
    """unpack() in Lua has room for some 8,000 values."""
    pipeline = connection.pipeline()
    for _ in range(9_000):
        pipeline.xadd(f"ingress:{SHARD}", {"type": "LIKE"})
    pipeline.execute()
    ingress.hold(SHARD, ONE)
    entries = read(ingress, batch=10_000)

    assert ingress.acknowledge(SHARD, ONE, entries)

    assert connection.xpending(f"ingress:{SHARD}", "bridge")["pending"] == 0
    assert connection.xlen(f"ingress:{SHARD}") == 0


def test_an_entry_that_was_deleted_while_pending_is_read_without_fields(
    connection: redis.Redis, ingress: Ingress
) -> None:
    appended(ingress, 2)
    first, _ = read(ingress)
    connection.xdel(f"ingress:{SHARD}", first.stream_id)

    again = read(ingress, pending=True)

    assert [entry.fields is None for entry in again] == [True, False]


def test_an_emptied_redis_is_noticed(
    connection: redis.Redis, ingress: Ingress, request: pytest.FixtureRequest
) -> None:
    fake_is_weaker(
        request, connection, "fakeredis has other words for NOGROUP when the key is gone"
    )
    connection.flushall()

    with pytest.raises(Unavailable) as lost:
        read(ingress)

    assert lost.value.code == "ingress_lost"


def test_waiting_ends_with_the_first_new_entry(ingress: Ingress) -> None:
    Timer(0.1, appended, (ingress, 1)).start()
    began = time.monotonic()

    ingress.wait({SHARD: "0-0"}, seconds=5)

    assert time.monotonic() - began < 4
    assert len(read(ingress)) == 1  # waiting takes nothing


def test_waiting_ends_by_itself(ingress: Ingress) -> None:
    ingress.wait({SHARD: "0-0"}, seconds=0.05)

    assert read(ingress) == []


def test_lengths_are_told_for_every_shard(ingress: Ingress) -> None:
    appended(ingress, 3)

    assert ingress.lengths() == {n: 3 if n == SHARD else 0 for n in range(5)}
