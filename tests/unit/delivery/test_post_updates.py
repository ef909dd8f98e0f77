"""Live counts: few events for many likes, each with the current count."""

import fakeredis
import pytest
from sqlalchemy import Engine

from app.clients import postgres
from app.clients.redis import READ_CIRCUIT_OPEN_SECONDS
from app.delivery import post_updates
from app.delivery.post_updates import LivePostCountPublisher
from app.ingest.comments import Comments
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, IngressLimits, MembershipStore
from app.messaging.socket_push import SIGNED_IN_ROOM
from tests.conftest import empty_redis
from tests.support.fakes import MemoryPushPublisher
from tests.support.fixtures import (
    comment_event,
    follow_event,
    like_event,
    new_id,
    unsaved_sample_users,
)
from tests.support.membership_harness import set_like

SAMPLE = unsaved_sample_users()


class PostUpdatesHarness:
    """Alice's post with its live counts, on the fake Redis."""

    def __init__(self, engine: Engine) -> None:
        self.server = fakeredis.FakeServer(version=(6, 2))
        connection = fakeredis.FakeRedis(server=self.server, decode_responses=True)
        empty_redis(connection)
        self.memberships = MembershipStore(connection, engine, IngressLimits(1, 1000, 5.0))
        self.comments = Comments(connection, engine)
        self.push = MemoryPushPublisher()
        self.updates = LivePostCountPublisher(self.memberships, self.comments, self.push)  # type: ignore[arg-type]
        self.memberships.cache_loader.cache_as_empty(USER_FOLLOWS, SAMPLE.alice_id, SAMPLE.alice_id)
        self.memberships.cache_loader.cache_as_empty(POST_LIKES, SAMPLE.post_id, SAMPLE.alice_id)
        self.comments.cache_zero_count(SAMPLE.post_id)

    def like(self, actor: str) -> None:
        set_like(self.memberships, actor, SAMPLE.post_id, DesiredState.ON)
        self.updates.record_count_changes([like_event(actor, SAMPLE, 1)])

    @property
    def sent_counts(self) -> list[tuple[int, int]]:
        assert {(name, room) for name, _, room in self.push.client_events} <= {
            ("post_updated", SIGNED_IN_ROOM)
        }
        counts = [data["metadata"] for _, data, _ in self.push.client_events]
        return [(count["likesCount"], count["commentsCount"]) for count in counts]


@pytest.fixture
def post_harness() -> PostUpdatesHarness:
    return PostUpdatesHarness(postgres.create_pg_engine("postgresql://nobody@127.0.0.1:1/nothing"))


def test_many_likes_are_one_event_with_the_current_count(post_harness: PostUpdatesHarness) -> None:
    for _ in range(50):
        post_harness.like(new_id())

    post_harness.updates.emit_due_counts()

    assert post_harness.sent_counts == [(50, 0)]


def test_next_event_waits_for_the_minimum_interval(
    post_harness: PostUpdatesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("app.delivery.post_updates.time.monotonic", lambda: now[0])
    post_harness.like(SAMPLE.bob_id)
    post_harness.updates.emit_due_counts()
    post_harness.like(SAMPLE.carol_id)

    post_harness.updates.emit_due_counts()
    counts_before = list(post_harness.sent_counts)
    now[0] += post_updates.MIN_EMIT_INTERVAL_SECONDS
    post_harness.updates.emit_due_counts()

    assert (counts_before, post_harness.sent_counts) == ([(1, 0)], [(1, 0), (2, 0)])


def test_no_event_without_change(post_harness: PostUpdatesHarness) -> None:
    post_harness.updates.record_count_changes([follow_event(SAMPLE.bob_id, SAMPLE, 1)])

    post_harness.updates.emit_due_counts()

    assert post_harness.sent_counts == []


def test_comment_updates_its_post(post_harness: PostUpdatesHarness) -> None:
    post_harness.updates.record_count_changes([comment_event(SAMPLE.bob_id, SAMPLE, 1)])

    post_harness.updates.emit_due_counts()

    assert [data["targetEntityId"] for _, data, _ in post_harness.push.client_events] == [SAMPLE.post_id]


def test_unreadable_count_is_sent_later(
    post_harness: PostUpdatesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("app.delivery.post_updates.time.monotonic", lambda: now[0])
    post_harness.like(SAMPLE.bob_id)
    post_harness.server.connected = False
    post_harness.updates.emit_due_counts()
    post_harness.server.connected = True
    now[0] += READ_CIRCUIT_OPEN_SECONDS

    post_harness.updates.emit_due_counts()

    assert post_harness.sent_counts == [(1, 0)]
