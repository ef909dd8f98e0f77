"""Gather, claim and settle: windows open, collect events, close once and are deleted."""

from dataclasses import replace

import pytest
import redis

from app.aggregation.windows import CLAIM_LEASE_MS, DUE_INDEX_KEY, OfferedEvent, WindowStore
from app.domain.events import Event, Kind
from app.domain.windows import WindowDecision, window_name
from tests.support.fixtures import comment_event, follow_event, like_event, new_id, unlike_event
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


def test_three_likes_are_instant_and_the_rest_is_gathered(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    decisions = partition_harness.offer(*like_events(ANN_ID, BEN_ID, CEM_ID, DAN_ID, EVA_ID))

    [window] = claim_due_windows(window_store)
    assert decisions == [INSTANT] * 3 + [GATHERED] * 2
    assert actor_ids_of(window) == {DAN_ID, EVA_ID}
    assert (window.recipient_id, window.kind, window.object_id, window.is_early_flush) == (
        SAMPLE_USERS.alice_id,
        Kind.LIKE,
        SAMPLE_USERS.post_id,
        False,
    )


@pytest.mark.parametrize(
    ("events", "decisions"),
    [
        pytest.param(
            [
                like_event(ANN_ID, SAMPLE_USERS, 1),
                unlike_event(ANN_ID, SAMPLE_USERS, 2),
                like_event(ANN_ID, SAMPLE_USERS, 3),
            ],
            [INSTANT, INSTANT, INSTANT],
            id="like, unlike, like use the quota once",
        ),
        pytest.param(
            [
                like_event(ANN_ID, SAMPLE_USERS, 1),
                like_event(ANN_ID, SAMPLE_USERS, 2),
                like_event(BEN_ID, SAMPLE_USERS, 3),
            ],
            [INSTANT, INSTANT, INSTANT],
            id="an actor is counted once",
        ),
        pytest.param(
            [unlike_event(ANN_ID, SAMPLE_USERS, 1), like_event(BEN_ID, SAMPLE_USERS, 2)],
            [INSTANT, INSTANT],
            id="a retraction of something older does not use the quota",
        ),
        pytest.param(
            [like_event(ANN_ID, SAMPLE_USERS, 5), unlike_event(ANN_ID, SAMPLE_USERS, 3)],
            [INSTANT, DUPLICATE],
            id="a late older event is a duplicate",
        ),
        pytest.param(
            [
                *like_events(ANN_ID, BEN_ID, CEM_ID, DAN_ID),
                unlike_event(DAN_ID, SAMPLE_USERS, 5),
                like_event(DAN_ID, SAMPLE_USERS, 6),
            ],
            [INSTANT] * 3 + [GATHERED] * 3,
            id="a gathered actor who returns stays gathered",
        ),
        pytest.param(
            [like_event(ANN_ID, SAMPLE_USERS, 1)] * 2,
            [INSTANT] * 2,
            id="a repeated instant event is instant again: the tables know its seq",
        ),
        pytest.param(
            [*like_events(ANN_ID, BEN_ID, CEM_ID), *[like_event(DAN_ID, SAMPLE_USERS, 4)] * 2],
            [INSTANT] * 3 + [GATHERED, DUPLICATE],
            id="a repeated gathered event is waiting already",
        ),
    ],
)
def test_distinct_actors_use_the_instant_quota(
    partition_harness: PartitionHarness, events: list[Event], decisions: list[WindowDecision]
) -> None:
    assert partition_harness.offer(*events) == decisions


def test_comments_of_one_actor_are_gathered_separately(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    comments = [comment_event(ANN_ID, SAMPLE_USERS, seq) for seq in (1, 2)]

    assert partition_harness.offer(*comments, instant_quota=0) == [GATHERED, GATHERED]
    [window] = claim_due_windows(window_store)
    assert len(window.events) == 2


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(
            comment_event(ANN_ID, SAMPLE_USERS, 1, 'a "quoted" ~text, gathered with\nlines'), id="a comment"
        ),
        pytest.param(
            replace(
                like_event(ANN_ID, SAMPLE_USERS, 1),
                is_follower=True,
                title="A title",
                message="A message",
                image_url="https://example.com/a.png",
                mentions_recipient=True,
            ),
            id="a like with all fields",
        ),
    ],
)
def test_gathered_event_is_stored_completely(
    window_store: WindowStore, partition_harness: PartitionHarness, event: Event
) -> None:
    partition_harness.offer(event, instant_quota=0)

    [window] = claim_due_windows(window_store)
    assert window.events == (replace(event, traceparent=None),)


def test_window_keeps_the_newest_event_of_each_actor(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID), instant_quota=0)

    partition_harness.offer(unlike_event(ANN_ID, SAMPLE_USERS, 3), instant_quota=0)

    [window] = claim_due_windows(window_store)
    assert {event.actor_id: event.active for event in window.events} == {
        ANN_ID: False,
        BEN_ID: True,
    }


def test_kinds_without_windows_are_instant_and_store_nothing(
    redis_connection: redis.Redis, window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    offers = [OfferedEvent(follow_event(ANN_ID, SAMPLE_USERS, 1), 0, 2**31, DUE_MS, is_unwindowed=True)]

    assert window_store.gather_events(partition_harness.epoch, PARTITION, NO_ROW_LIMIT, offers) == [INSTANT]
    assert redis_connection.keys("window:*") == []


def test_window_is_due_at_the_time_set_by_its_first_event(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID), instant_quota=0, due_ms=1_000)
    partition_harness.offer(*like_events(BEN_ID, first_seq=2), instant_quota=0, due_ms=9_000)

    assert claim_due_windows(window_store, now_ms=999) == []
    assert [actor_ids_of(window) for window in claim_due_windows(window_store, now_ms=1_000)] == [
        {ANN_ID, BEN_ID}
    ]


def test_windows_close_in_the_order_they_fall_due(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    late_post, early_post = replace(SAMPLE_USERS, post_id=new_id()), replace(SAMPLE_USERS, post_id=new_id())
    partition_harness.offer(*like_events(ANN_ID, sample_users=late_post), instant_quota=0, due_ms=2_000)
    partition_harness.offer(*like_events(ANN_ID, sample_users=early_post), instant_quota=0, due_ms=1_000)

    object_ids = [claim_due_windows(window_store, now_ms=3_000, max_windows=1)[0].object_id for _ in range(2)]

    assert object_ids == [early_post.post_id, late_post.post_id]


def test_window_with_instant_events_only_closes_without_events(
    redis_connection: redis.Redis, window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID))

    assert claim_due_windows(window_store) == []
    assert (redis_connection.zcard(DUE_INDEX_KEY), redis_connection.keys("window:*")) == (0, [])


def test_event_after_the_claim_opens_a_new_window(
    window_store: WindowStore, partition_harness: PartitionHarness, redis_connection: redis.Redis
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID, CEM_ID, DAN_ID))
    [claimed_window] = claim_due_windows(window_store)

    decisions = partition_harness.offer(*like_events(EVA_ID, first_seq=5), due_ms=DUE_MS + 500)
    window_store.settle_windows([claimed_window])

    assert decisions == [INSTANT]
    assert actor_ids_of(claimed_window) == {DAN_ID}
    assert redis_connection.zrange(DUE_INDEX_KEY, 0, -1, withscores=True) == [
        (window_name(like_event(EVA_ID, SAMPLE_USERS, 5)), DUE_MS + 500)
    ]


def test_event_after_the_claim_is_not_settled_with_it(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID), instant_quota=0)
    claimed_windows = claim_due_windows(window_store)

    partition_harness.offer(*like_events(BEN_ID, first_seq=2), instant_quota=0)
    window_store.settle_windows(claimed_windows)

    [new_window] = claim_due_windows(window_store)
    assert actor_ids_of(new_window) == {BEN_ID}


def test_windows_have_no_time_to_live(
    redis_connection: redis.Redis, window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID, BEN_ID, CEM_ID, DAN_ID, EVA_ID))

    window_keys = [str(name) for name in redis_connection.scan_iter("*") if "window" in str(name)]

    assert any(name.startswith("window:") for name in window_keys)
    assert {redis_connection.ttl(name) for name in window_keys} == {-1}


def test_claimed_window_cannot_be_claimed_during_the_lease(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID), instant_quota=0)
    claim_due_windows(window_store)

    assert claim_due_windows(window_store, now_ms=DUE_MS + CLAIM_LEASE_MS - 1) == []


def test_windows_of_a_dead_flusher_are_claimed_again_unchanged(
    window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID), instant_quota=0)
    claimed_windows = claim_due_windows(window_store)

    claimed_again = claim_due_windows(window_store, now_ms=DUE_MS + CLAIM_LEASE_MS)

    assert claimed_again == claimed_windows


def test_settled_window_is_deleted(
    redis_connection: redis.Redis, window_store: WindowStore, partition_harness: PartitionHarness
) -> None:
    partition_harness.offer(*like_events(ANN_ID), instant_quota=0)
    claimed_windows = claim_due_windows(window_store)

    window_store.settle_windows(claimed_windows)
    window_store.settle_windows(claimed_windows)  # repeats do nothing

    assert claim_due_windows(window_store, now_ms=DUE_MS + CLAIM_LEASE_MS) == []
    assert redis_connection.keys("*window:*") + redis_connection.keys("closing:*") == []
    assert redis_connection.exists(f"windows:min_offset:{PARTITION}") == 0


def test_claim_is_limited_by_rows(window_store: WindowStore, partition_harness: PartitionHarness) -> None:
    users_and_posts = [replace(SAMPLE_USERS, post_id=new_id()) for _ in range(3)]
    for sample_users in users_and_posts:
        partition_harness.offer(*like_events(ANN_ID, BEN_ID, sample_users=sample_users), instant_quota=0)

    sizes = [len(window_store.claim_due_windows(DUE_MS, 100, 2)) for _ in range(4)]

    assert sizes == [1, 1, 1, 0]
