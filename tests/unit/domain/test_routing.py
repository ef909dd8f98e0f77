"""Routing: priorities, topics and ingress shards."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Kind, Priority
from app.domain.routing import (
    CRITICAL_SHARD,
    TOPIC_BY_PRIORITY,
    ingress_shard_of_event,
    ingress_shard_of_object,
    needs_follower_lookup,
    partition_key,
    priority_of,
    topic_of,
)
from tests.support.fixtures import (
    comment_event,
    follow_event,
    like_event,
    otp_event,
    unlike_event,
    unsaved_sample_users,
)

CRITICAL, HIGH, LOW = Priority.CRITICAL, Priority.HIGH, Priority.LOW


@pytest.mark.parametrize(
    ("kind", "from_others", "from_followers"),
    [
        pytest.param(Kind.OTP, CRITICAL, CRITICAL, id="a log-in code"),
        pytest.param(Kind.PASSWORD_RESET, CRITICAL, CRITICAL, id="a password reset"),
        pytest.param(Kind.SECURITY_ALERT, CRITICAL, CRITICAL, id="a security alert"),
        pytest.param(Kind.FOLLOW, HIGH, HIGH, id="a follow"),
        pytest.param(Kind.BELL_POST, HIGH, HIGH, id="a post of a followed user"),
        pytest.param(Kind.MENTION, HIGH, HIGH, id="a mention"),
        pytest.param(Kind.COMMENT, HIGH, HIGH, id="a comment"),
        pytest.param(Kind.COMMENT_REPLY, HIGH, HIGH, id="a reply"),
        pytest.param(Kind.LIKE, LOW, HIGH, id="a like"),
        pytest.param(Kind.POST_SHARE, LOW, HIGH, id="a share"),
        pytest.param(Kind.STORY_VIEW, LOW, LOW, id="a story view"),
        pytest.param(Kind.MARKETING, LOW, LOW, id="marketing"),
        pytest.param(Kind.DIGEST, LOW, LOW, id="a digest"),
        pytest.param(Kind.POST_UPDATED, LOW, LOW, id="a changed post"),
    ],
)
def test_priority_of_each_kind(kind: Kind, from_others: Priority, from_followers: Priority) -> None:
    assert priority_of(kind, is_follower=False) is from_others
    assert priority_of(kind, is_follower=True) is from_followers


def test_each_priority_has_its_own_topic() -> None:
    topics = [TOPIC_BY_PRIORITY[priority] for priority in Priority]

    assert len(set(topics)) == len(topics)


def test_event_goes_to_the_topic_of_its_priority_keyed_by_its_recipient() -> None:
    users = unsaved_sample_users()
    event = like_event(users.bob_id, users, 1, is_follower=True)

    assert topic_of(event) == "high-priority-notifications"
    assert partition_key(event) == users.alice_id


@pytest.mark.parametrize("shard_count", [1, 2, 4, 7])
def test_like_and_its_unlike_share_a_shard(shard_count: int) -> None:
    users = unsaved_sample_users()

    shard = ingress_shard_of_event(like_event(users.bob_id, users, 1), shard_count)

    assert shard == ingress_shard_of_event(unlike_event(users.bob_id, users, 2), shard_count)
    # set_membership.lua appends to the ingress itself and must choose the same shard.
    assert shard == ingress_shard_of_object(users.post_id, shard_count)


def test_follow_and_its_unfollow_share_a_shard() -> None:
    users = unsaved_sample_users()

    shard = ingress_shard_of_event(follow_event(users.bob_id, users, 1), 4)

    assert shard == ingress_shard_of_event(follow_event(users.bob_id, users, 2, active=False), 4)
    assert shard == ingress_shard_of_object(users.alice_id, 4)


def test_critical_events_have_their_own_shard() -> None:
    users = unsaved_sample_users()

    assert ingress_shard_of_event(otp_event(users, 1), 4) == CRITICAL_SHARD
    assert ingress_shard_of_event(comment_event(users.bob_id, users, 1), 4) != CRITICAL_SHARD


@given(st.uuids(), st.integers(1, 16))
def test_shards_count_from_one(object_id: object, shard_count: int) -> None:
    assert 1 <= ingress_shard_of_object(str(object_id), shard_count) <= shard_count


def test_object_keeps_its_shard_across_releases() -> None:
    """Events that wait in a stream during an upgrade must not be overtaken by newer ones."""
    assert ingress_shard_of_object("0193f0a0-0000-7000-8000-00000000abcd", 4) == 4
    assert ingress_shard_of_object("00000000-0000-7000-8000-000000000001", 4) == 2


def test_only_likes_whose_follower_state_is_unknown_need_a_lookup() -> None:
    like = like_event(unsaved_sample_users().bob_id, unsaved_sample_users(), seq=1)

    assert needs_follower_lookup(replace(like, is_follower=False))
    assert not needs_follower_lookup(replace(like, is_follower=True))
    assert not needs_follower_lookup(replace(like, kind=Kind.FOLLOW, is_follower=False))
