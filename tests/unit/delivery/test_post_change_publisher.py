"""Changed posts are published to the web processes: one message for many changes."""

from typing import Any

import pytest

from app.delivery import post_change_publisher
from app.delivery.post_change_publisher import MAX_POSTS_PER_MESSAGE, PostChangePublisher
from app.domain.errors import Unavailable
from app.domain.events import Event
from app.messaging.socket_push import POSTS_CHANGED_EVENT, POSTS_CHANGED_ROOM
from tests.support.fakes import MemoryPushPublisher
from tests.support.fixtures import (
    SampleUsers,
    comment_event,
    follow_event,
    like_event,
    new_id,
    unsaved_sample_users,
)

SAMPLE = unsaved_sample_users()


class FailingPushPublisher(MemoryPushPublisher):
    is_unavailable = False

    def emit(self, event_name: str, payload: dict[str, Any], room: str) -> None:
        if self.is_unavailable:
            raise Unavailable("Redis does not answer")
        super().emit(event_name, payload, room)


class PublisherHarness:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("app.delivery.post_change_publisher.time.monotonic", lambda: self.now)
        self.push = FailingPushPublisher()
        self.publisher = PostChangePublisher(self.push)  # type: ignore[arg-type]

    def record(self, *events: Event) -> None:
        self.publisher.record_count_changes(events)

    def publish(self) -> list[list[str]]:
        """The post ids of each message of this call."""
        self.push.client_events.clear()
        self.publisher.publish_due_changes()
        assert {(name, room) for name, _, room in self.push.client_events} <= {
            (POSTS_CHANGED_EVENT, POSTS_CHANGED_ROOM)
        }
        return [list(data["posts"]) for _, data, _ in self.push.client_events]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> PublisherHarness:
    return PublisherHarness(monkeypatch)


def like_of_another_post() -> Event:
    return like_event(SAMPLE.bob_id, unsaved_sample_users(), 1)


def test_many_likes_are_one_message_with_the_newest_event(harness: PublisherHarness) -> None:
    events = [like_event(new_id(), SAMPLE, number) for number in range(50)]
    harness.record(*events)

    assert harness.publish() == [[SAMPLE.post_id]]
    [(_, payload, _)] = harness.push.client_events
    assert payload == {"posts": {SAMPLE.post_id: [events[-1].event_id, events[-1].actor_id]}}


def test_next_message_waits_for_the_minimum_interval(harness: PublisherHarness) -> None:
    harness.record(like_event(SAMPLE.bob_id, SAMPLE, 1))
    assert harness.publish() == [[SAMPLE.post_id]]
    harness.record(like_event(SAMPLE.carol_id, SAMPLE, 2))

    assert harness.publish() == []
    harness.now += post_change_publisher.MIN_PUBLISH_INTERVAL_SECONDS
    assert harness.publish() == [[SAMPLE.post_id]]


def test_follow_changes_no_post(harness: PublisherHarness) -> None:
    harness.record(follow_event(SAMPLE.bob_id, SAMPLE, 1))

    assert harness.publish() == []


def test_comment_changes_its_post(harness: PublisherHarness) -> None:
    harness.record(comment_event(SAMPLE.bob_id, SAMPLE, 1))

    assert harness.publish() == [[SAMPLE.post_id]]


def test_many_posts_are_several_messages(harness: PublisherHarness) -> None:
    harness.record(*(like_of_another_post() for _ in range(MAX_POSTS_PER_MESSAGE + 1)))

    assert [len(post_ids) for post_ids in harness.publish()] == [MAX_POSTS_PER_MESSAGE, 1]


def test_change_that_redis_did_not_accept_is_published_later(harness: PublisherHarness) -> None:
    harness.record(like_event(SAMPLE.bob_id, SAMPLE, 1))
    harness.push.is_unavailable = True
    assert harness.publish() == []
    harness.push.is_unavailable = False
    harness.now += post_change_publisher.MIN_PUBLISH_INTERVAL_SECONDS

    assert harness.publish() == [[SAMPLE.post_id]]


def test_changes_are_bounded_while_redis_is_unavailable(
    harness: PublisherHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_change_publisher, "MAX_PENDING_POSTS", 2)
    samples: list[SampleUsers] = [unsaved_sample_users() for _ in range(3)]
    harness.record(*(like_event(SAMPLE.bob_id, sample, 1) for sample in samples))

    assert harness.publish() == [[sample.post_id for sample in samples[1:]]]
