"""Windows after Redis was emptied: the loss is detected, and reading Kafka again rebuilds them."""

import pytest
import redis

from app.aggregation.windows import WindowStateLost, WindowStore
from tests.support.fixtures import new_id
from tests.support.partition_harness import (
    ANN_ID,
    PartitionHarness,
    like_events,
)


def test_lost_epoch_is_detected_by_gather_and_mark_applied(
    redis_connection: redis.Redis, partition_harness: PartitionHarness
) -> None:
    redis_connection.flushall()

    with pytest.raises(WindowStateLost):
        partition_harness.offer(*like_events(ANN_ID))
    with pytest.raises(WindowStateLost):
        partition_harness.mark_applied(0)
    assert redis_connection.keys("*") == []


def test_new_epoch_of_another_process_is_detected_as_a_loss(
    redis_connection: redis.Redis, window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    redis_connection.flushall()
    window_store.get_or_set_epoch(new_id())

    with pytest.raises(WindowStateLost):
        partition_harness.offer(*like_events(ANN_ID))


def test_epoch_is_shared_by_all_readers(window_store: WindowStore) -> None:
    epoch = window_store.get_or_set_epoch("first")

    assert (epoch, window_store.get_or_set_epoch("second")) == ("first", "first")
