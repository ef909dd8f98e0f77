"""Pending comments in Redis and written ones in PostgreSQL are read together."""

from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text
from sqlalchemy import event as sqlalchemy_event

from app.domain.errors import Rejected
from app.ingest.comments import Comment, Comments
from app.ingest.ingress import IngressStreams
from app.ingest.membership_reader import MembershipReader
from app.ingest.memberships import IngressLimits
from tests.integration.contract.test_ingress_append import comment_of
from tests.support.fixtures import SampleUsers, comment_event, new_id
from tests.support.post_counts import count_comments

pytestmark = pytest.mark.service


@pytest.fixture
def ingress_streams(redis_connection: redis.Redis) -> IngressStreams:
    return IngressStreams(redis_connection, IngressLimits(4, 1000, 5.0))


@pytest.fixture
def comment_store(redis_connection: redis.Redis, engine: Engine) -> Comments:
    return Comments(redis_connection, engine)


def test_comment_in_redis_and_postgresql_is_listed_and_counted_once(
    redis_connection: redis.Redis,
    ingress_streams: IngressStreams,
    comment_store: Comments,
    engine: Engine,
    sample_users: SampleUsers,
) -> None:
    written, pending = (
        comment_event(sample_users.bob_id, sample_users, 1),
        comment_event(sample_users.carol_id, sample_users, 2),
    )
    comment_store.load_count_into_cache(sample_users.post_id)
    for event in (written, pending):
        ingress_streams.append_events([event], comment_of(event, sample_users))
    insert_comment(engine, comment_of(written, sample_users))

    comments = comment_store.list_by_post(sample_users.post_id)
    redis_connection.delete(f"comment:count:{sample_users.post_id}")
    comment_store.load_count_into_cache(sample_users.post_id)

    assert {comment.id for comment in comments} == {
        written.window_entry_key,
        pending.window_entry_key,
    }
    assert count_comments(MembershipReader(redis_connection, engine, None), sample_users.post_id) == 2


def test_comment_written_during_the_recount_is_counted(
    redis_connection: redis.Redis,
    ingress_streams: IngressStreams,
    comment_store: Comments,
    engine: Engine,
    sample_users: SampleUsers,
) -> None:
    pending = comment_event(sample_users.bob_id, sample_users, 1)
    comment_store.load_count_into_cache(sample_users.post_id)
    ingress_streams.append_events([pending], comment_of(pending, sample_users))
    redis_connection.delete(f"comment:count:{sample_users.post_id}")

    def write_comment(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        """Writes the pending comment as a flusher, after the tables were read."""
        if "from comments" in statement:
            insert_comment(engine, comment_of(pending, sample_users))
            comment_store.remove_written_from_pending([(sample_users.post_id, pending.window_entry_key)])

    sqlalchemy_event.listen(engine, "after_cursor_execute", write_comment)
    try:
        comment_store.load_count_into_cache(sample_users.post_id)
    finally:
        sqlalchemy_event.remove(engine, "after_cursor_execute", write_comment)

    assert count_comments(MembershipReader(redis_connection, engine, None), sample_users.post_id) == 1


def test_unknown_comment_is_refused(comment_store: Comments, sample_users: SampleUsers) -> None:
    with pytest.raises(Rejected) as error:
        comment_store.find_or_raise(new_id())

    assert error.value.status == 404


def test_post_owner_is_read_from_redis_or_postgresql(
    redis_connection: redis.Redis, comment_store: Comments, sample_users: SampleUsers
) -> None:
    assert comment_store.get_post_owner_id(sample_users.post_id) == sample_users.alice_id

    redis_connection.set(f"post:owner:{sample_users.post_id}", sample_users.bob_id)

    assert comment_store.get_post_owner_id(sample_users.post_id) == sample_users.bob_id


def insert_comment(engine: Engine, comment: Comment) -> None:
    with engine.begin() as conn:
        conn.execute(
            text("update posts set comment_count = comment_count + 1 where id = :post"),
            {"post": comment.post_id},
        )
        conn.execute(
            text("insert into comments (id, post_id, user_id, content) values (:id, :post, :user, :content)"),
            {
                "id": comment.id,
                "post": comment.post_id,
                "user": comment.user_id,
                "content": comment.content,
            },
        )
