"""Lanes and shards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Kind, Priority
from app.domain.routing import (
    CRITICAL_SHARD,
    LANES,
    partition_key,
    priority_of,
    shard_of,
    shard_of_event,
    topic_of,
)
from tests.cast import code, comment, follow, like, unknown_cast, unlike

CRITICAL, HIGH, LOW = Priority.CRITICAL, Priority.HIGH, Priority.LOW


@pytest.mark.parametrize(
    ("kind", "by_others", "by_followers"),
    [
        pytest.param(Kind.OTP, CRITICAL, CRITICAL, id="a log-in code"),
        pytest.param(Kind.PASSWORD_RESET, CRITICAL, CRITICAL, id="a password reset"),
        pytest.param(Kind.SECURITY_ALERT, CRITICAL, CRITICAL, id="an alarm"),
        pytest.param(Kind.FOLLOW, HIGH, HIGH, id="a follow"),
        pytest.param(Kind.BELL_POST, HIGH, HIGH, id="a post one rings for"),
        pytest.param(Kind.MENTION, HIGH, HIGH, id="a mention"),
        pytest.param(Kind.COMMENT, HIGH, HIGH, id="a comment"),
        pytest.param(Kind.COMMENT_REPLY, HIGH, HIGH, id="a reply"),
        pytest.param(Kind.LIKE, LOW, HIGH, id="a like"),
        pytest.param(Kind.POST_SHARE, LOW, HIGH, id="a share"),
        pytest.param(Kind.STORY_VIEW, LOW, LOW, id="a look at a story"),
        pytest.param(Kind.MARKETING, LOW, LOW, id="marketing"),
        pytest.param(Kind.DIGEST, LOW, LOW, id="a digest"),
        pytest.param(Kind.POST_UPDATED, LOW, LOW, id="a changed post"),
    ],
)
def test_lanes(kind: Kind, by_others: Priority, by_followers: Priority) -> None:
    assert priority_of(kind, follower=False) is by_others
    assert priority_of(kind, follower=True) is by_followers


def test_each_lane_has_a_topic_of_its_own() -> None:
    topics = [LANES[priority] for priority in Priority]

    assert len(set(topics)) == len(topics)


def test_an_event_goes_to_its_lane_keyed_by_its_recipient() -> None:
    cast = unknown_cast()
    event = like(cast.bob, cast, 1, follower=True)

    assert topic_of(event) == "high-priority-notifications"
    assert partition_key(event) == cast.alice


@pytest.mark.parametrize("shards", [1, 2, 4, 7])
def test_a_like_and_its_unlike_share_a_shard(shards: int) -> None:
    cast = unknown_cast()

    one = shard_of_event(like(cast.bob, cast, 1), shards)

    assert one == shard_of_event(unlike(cast.bob, cast, 2), shards)
    # wish.lua appends by itself: it must choose the same one.
    assert one == shard_of(cast.post, shards)


def test_a_follow_and_its_unfollow_share_a_shard() -> None:
    cast = unknown_cast()

    one = shard_of_event(follow(cast.bob, cast, 1), 4)

    assert one == shard_of_event(follow(cast.bob, cast, 2, active=False), 4)
    assert one == shard_of(cast.alice, 4)


def test_critical_events_have_a_shard_that_no_post_can_fill() -> None:
    cast = unknown_cast()

    assert shard_of_event(code(cast, 1), 4) == CRITICAL_SHARD
    assert shard_of_event(comment(cast.bob, cast, 1), 4) != CRITICAL_SHARD


@given(st.uuids(), st.integers(1, 16))
def test_shards_count_from_one(subject: object, shards: int) -> None:
    assert 1 <= shard_of(str(subject), shards) <= shards


def test_a_subject_keeps_its_shard_from_release_to_release() -> None:
    """Events that wait in a stream while we are upgraded must not be overtaken by newer ones."""
    assert shard_of("0193f0a0-0000-7000-8000-00000000abcd", 4) == 4
    assert shard_of("00000000-0000-7000-8000-000000000001", 4) == 2
