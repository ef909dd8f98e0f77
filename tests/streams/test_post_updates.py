"""Live counts: a few frames for many likes, each with the count of its moment."""

import fakeredis
import pytest
from sqlalchemy import Engine

from app.stores import postgres
from app.stores.comments import Comments
from app.stores.memberships import Bounds, Memberships, Wish
from app.stores.redis import LOOK_AWAY_SECONDS
from app.stores.subjects import PERSON, POST
from app.streams import post_updates
from app.streams.post_updates import PostUpdates
from app.streams.push import SIGNED_IN
from tests.cast import comment, follow, like, new_id, unknown_cast
from tests.conftest import empty_redis
from tests.contract.wishing import likes
from tests.fakes import PushList

CAST = unknown_cast()


class Post:
    """Alice's post with its live counts, on the fake Redis."""

    def __init__(self, engine: Engine) -> None:
        self.server = fakeredis.FakeServer(version=(6, 2))
        connection = fakeredis.FakeRedis(server=self.server, decode_responses=True)
        empty_redis(connection)
        self.memberships = Memberships(connection, engine, Bounds(1, 1000, 5.0))
        self.comments = Comments(connection, engine)
        self.push = PushList()
        self.updates = PostUpdates(self.memberships, self.comments, self.push)
        self.memberships.warming.born(PERSON, CAST.alice, CAST.alice)
        self.memberships.warming.born(POST, CAST.post, CAST.alice)
        self.comments.born(CAST.post)

    def likes(self, actor: str) -> None:
        likes(self.memberships, actor, CAST.post, Wish.ON)
        self.updates.note([like(actor, CAST, 1)])

    @property
    def frames(self) -> list[tuple[int, int]]:
        assert {(name, room) for name, _, room in self.push.frames} <= {("post_updated", SIGNED_IN)}
        counts = [data["metadata"] for _, data, _ in self.push.frames]
        return [(one["likesCount"], one["commentsCount"]) for one in counts]


@pytest.fixture
def post() -> Post:
    return Post(postgres.engine("postgresql://nobody@127.0.0.1:1/nothing"))


def test_many_likes_are_one_frame_with_the_count_of_its_moment(post: Post) -> None:
    for _ in range(50):
        post.likes(new_id())

    post.updates.emit_due()

    assert post.frames == [(50, 0)]


def test_the_next_frame_waits_a_little(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(post_updates.time, "monotonic", lambda: now[0])
    post.likes(CAST.bob)
    post.updates.emit_due()
    post.likes(CAST.carol)

    post.updates.emit_due()
    at_once = list(post.frames)
    now[0] += post_updates.PAUSE_SECONDS
    post.updates.emit_due()

    assert (at_once, post.frames) == ([(1, 0)], [(1, 0), (2, 0)])


def test_without_news_there_is_no_frame(post: Post) -> None:
    post.updates.note([follow(CAST.bob, CAST, 1)])

    post.updates.emit_due()

    assert post.frames == []


def test_a_comment_updates_its_post(post: Post) -> None:
    post.updates.note([comment(CAST.bob, CAST, 1)])

    post.updates.emit_due()

    assert [data["targetEntityId"] for _, data, _ in post.push.frames] == [CAST.post]


def test_a_count_that_cannot_be_read_is_told_later(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(post_updates.time, "monotonic", lambda: now[0])
    post.likes(CAST.bob)
    post.server.connected = False
    post.updates.emit_due()
    post.server.connected = True
    now[0] += LOOK_AWAY_SECONDS

    post.updates.emit_due()

    assert post.frames == [(1, 0)]
