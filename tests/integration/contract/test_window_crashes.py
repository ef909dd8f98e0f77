"""Windows after crashes: events read again, the low watermark, early flushes."""

from dataclasses import replace

from app.aggregation.windows import OfferedEvent, WindowStore
from tests.support.fixtures import follow_event, new_id
from tests.support.partition_harness import (
    ANN_ID,
    BEN_ID,
    CEM_ID,
    DAN_ID,
    DUE_MS,
    DUPLICATE,
    EVA_ID,
    GATHERED,
    INSTANT,
    NO_ROW_LIMIT,
    PARTITION,
    SAMPLE_USERS,
    PartitionHarness,
    actor_ids_of,
    claim_due_windows,
    like_events,
)

# Reading again after a crash


def test_events_read_again_are_instant_again_or_duplicates(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    events = like_events(ANN_ID, BEN_ID, CEM_ID, DAN_ID)
    decisions = partition_harness.offer(*events)

    decisions_again = partition_harness.offer_at_offset(0, *events)

    # The gathered event is in its window; the instant ones may not be in the tables.
    assert decisions == [INSTANT] * 3 + [GATHERED]
    assert decisions_again == [INSTANT] * 3 + [DUPLICATE]
    assert [actor_ids_of(window) for window in claim_due_windows(window_store)] == [{DAN_ID}]


def test_applied_offsets_are_duplicates(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    events = like_events(ANN_ID, BEN_ID)
    partition_harness.offer(*events)
    partition_harness.mark_applied(1)

    assert partition_harness.offer_at_offset(0, *events) == [DUPLICATE, DUPLICATE]


def test_applied_events_without_windows_are_not_instant_again(
    partition_harness: PartitionHarness,
) -> None:
    offers = [OfferedEvent(follow_event(ANN_ID, SAMPLE_USERS, 1), 0, 2**31, DUE_MS, is_unwindowed=True)]
    partition_harness.window_store.gather_events(partition_harness.epoch, PARTITION, NO_ROW_LIMIT, offers)
    partition_harness.mark_applied(0)

    assert partition_harness.window_store.gather_events(
        partition_harness.epoch, PARTITION, NO_ROW_LIMIT, offers
    ) == [DUPLICATE]


def test_partitions_have_separate_applied_offsets(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID))
    partition_harness.mark_applied(0)

    assert PartitionHarness(window_store, "low:1").offer_at_offset(0, *like_events(BEN_ID)) == [INSTANT]


# The low watermark


def test_all_applied_offsets_may_be_committed_without_open_windows(
    partition_harness: PartitionHarness,
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID))

    assert partition_harness.mark_applied(1) == 2


def test_open_window_limits_the_commit_to_its_first_event(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    # DAN's event at offset 3 is the first gathered one.
    partition_harness.offer(*like_events(ANN_ID, BEN_ID, CEM_ID, DAN_ID, EVA_ID))
    offset_while_open = partition_harness.mark_applied(4)
    claimed_windows = claim_due_windows(window_store)
    offset_while_claimed = partition_harness.mark_applied(4)

    window_store.settle_windows(claimed_windows)

    assert (offset_while_open, offset_while_claimed, partition_harness.mark_applied(4)) == (3, 3, 5)


def test_lowest_of_many_windows_limits_the_commit(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    first_post, second_post = replace(SAMPLE_USERS, post_id=new_id()), replace(SAMPLE_USERS, post_id=new_id())
    partition_harness.offer(*like_events(ANN_ID, sample_users=first_post), instant_quota=0, due_ms=2_000)
    partition_harness.offer(*like_events(ANN_ID, sample_users=second_post), instant_quota=0, due_ms=1_000)
    offset_with_both = partition_harness.mark_applied(1)

    window_store.settle_windows(claim_due_windows(window_store, now_ms=1_500))
    offset_with_the_first = partition_harness.mark_applied(1)
    window_store.settle_windows(claim_due_windows(window_store, now_ms=2_500))

    assert (offset_with_both, offset_with_the_first, partition_harness.mark_applied(1)) == (0, 0, 2)


def test_new_window_limits_the_commit_at_its_own_first_event(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID), instant_quota=0)
    claimed_windows = claim_due_windows(window_store)
    partition_harness.offer(*like_events(BEN_ID, first_seq=2), instant_quota=0)

    window_store.settle_windows(claimed_windows)

    assert partition_harness.mark_applied(1) == 1


def test_window_of_two_partitions_limits_both_commits(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    """Likes by followers and by others are on topics of different priority."""
    other_partition = PartitionHarness(window_store, "high:0")
    partition_harness.offer(*like_events(ANN_ID), instant_quota=0)
    other_partition.offer(*like_events(BEN_ID, first_seq=2), instant_quota=0)
    offsets_while_open = (partition_harness.mark_applied(0), other_partition.mark_applied(0))

    window_store.settle_windows(claim_due_windows(window_store))

    assert offsets_while_open == (0, 0)
    assert (partition_harness.mark_applied(0), other_partition.mark_applied(0)) == (1, 1)


# Early flushes


def test_full_window_is_flushed_early(window_store: WindowStore, partition_harness: PartitionHarness) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID, CEM_ID), instant_quota=0, max_rows=2)

    [window] = claim_due_windows(window_store, now_ms=0)

    assert window.is_early_flush
    assert actor_ids_of(window) == {ANN_ID, BEN_ID}


def test_early_flush_does_not_move_the_announcement(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID, CEM_ID), instant_quota=0, max_rows=2)
    window_store.settle_windows(claim_due_windows(window_store, now_ms=0))

    [window] = claim_due_windows(window_store, now_ms=DUE_MS)

    assert not window.is_early_flush
    assert actor_ids_of(window) == {CEM_ID}


def test_window_closes_without_events_after_an_early_flush(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID), instant_quota=0, max_rows=2)
    window_store.settle_windows(claim_due_windows(window_store, now_ms=0))

    [window] = claim_due_windows(window_store, now_ms=DUE_MS)

    assert (window.is_early_flush, window.events) == (False, ())


def test_instant_quota_stays_used_after_an_early_flush(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID, CEM_ID, DAN_ID), max_rows=1)

    assert partition_harness.offer(*like_events(EVA_ID, first_seq=5), max_rows=9) == [GATHERED]


def test_early_flush_limits_the_commit_until_settled(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID, CEM_ID), instant_quota=0, max_rows=2)
    offset_before_settling = partition_harness.mark_applied(2)

    window_store.settle_windows(claim_due_windows(window_store, now_ms=0))

    assert (offset_before_settling, partition_harness.mark_applied(2)) == (0, 2)


def test_slow_member_commits_nothing_owned_by_its_successor(
    partition_harness: PartitionHarness,
) -> None:
    """The new owner of the partition has read further: its instant events are not written yet, and a
    window has the following one."""
    partition_harness.offer_at_offset(10, *like_events(ANN_ID, BEN_ID, CEM_ID, DAN_ID))

    assert partition_harness.mark_applied(9) == 10
