"""What the retention purge deletes and keeps, and rebuilding counts beside a writer."""

import pytest
import redis
from sqlalchemy import Engine, text

from app.operations.rebuild_counts import CountRebuilder
from app.operations.retention import RetentionPurge
from tests.support.fixtures import SampleUsers, insert_sample_users

pytestmark = pytest.mark.service


@pytest.fixture
def sample_users(engine: Engine) -> SampleUsers:
    return insert_sample_users(engine)


def _execute(engine: Engine, statement: str, **values: object) -> None:
    with engine.begin() as conn:
        conn.execute(text(statement), values)


def _scalar(engine: Engine, statement: str, **values: object) -> object:
    with engine.connect() as conn:
        return conn.execute(text(statement), values).scalar()


LIKE = (
    "insert into likes (post_id, user_id, seq, active, updated_at) "
    "values (:post, :user, 1, {active}, now() - interval '{days} days')"
)


@pytest.mark.parametrize(
    ("active", "days", "expected_count"),
    [("false", 9, 0), ("false", 7, 1), ("true", 900, 1)],
    ids=["old inactive", "inactive within Kafka retention", "active"],
)
def test_deleted_rows_are_pruned_after_their_retention(
    engine: Engine, sample_users: SampleUsers, active: str, days: int, expected_count: int
) -> None:
    _execute(
        engine,
        LIKE.format(active=active, days=days),
        post=sample_users.post_id,
        user=sample_users.bob_id,
    )
    dict(RetentionPurge(engine).purge_by_category())
    assert _scalar(engine, "select count(*) from likes") == expected_count


def test_each_user_keeps_the_newest_client_events(engine: Engine, sample_users: SampleUsers) -> None:
    _execute(
        engine,
        "insert into outbox (user_id, client_seq, client_event, payload, published_at) select "
        ":alice, n, "
        "'notification', '{}', now() - interval '3 days' from generate_series(1, 310) n",
        alice=sample_users.alice_id,
    )
    _execute(engine, "update users set client_seq = 310 where id = :alice", alice=sample_users.alice_id)
    purged = dict(RetentionPurge(engine, batch_size=3).purge_by_category())
    assert purged["published client events"] == 10
    assert _scalar(engine, "select min(client_seq) from outbox") == 11


def test_unpublished_client_events_are_kept(engine: Engine, sample_users: SampleUsers) -> None:
    _execute(
        engine,
        "insert into outbox (user_id, client_event, payload, created_at) "
        "values (:alice, 'unread_count', '{}', now() - interval '9 days')",
        alice=sample_users.alice_id,
    )
    dict(RetentionPurge(engine).purge_by_category())
    assert _scalar(engine, "select count(*) from outbox") == 1


MESSAGE = (
    "insert into outgoing_messages (id, user_id, client_seq, notification_id, version, channel, "
    "type, "
    "critical, status, due_at, expires_at, ended_at) select n, :alice, n, uuidv7(), 1, 'EMAIL', "
    "'OTP', true, :status, now(), now(), case when :status <> 'waiting' then now() "
    "- make_interval(days => :days) end from generate_series(1, 3) n"
)


@pytest.mark.parametrize(
    ("status", "days", "expected_count"),
    [
        pytest.param("delivered", 3, 0, id="sent"),
        pytest.param("delivered", 1, 3, id="sent recently: its client event may be read again"),
        pytest.param("failed", 3, 1, id="failed: kept while its dead letter waits"),
        pytest.param("waiting", 0, 3, id="not sent yet"),
    ],
)
def test_outgoing_messages_are_pruned_once_they_are_not_needed(
    engine: Engine, sample_users: SampleUsers, status: str, days: int, expected_count: int
) -> None:
    _execute(engine, MESSAGE, alice=sample_users.alice_id, status=status, days=days)
    _execute(
        engine,
        "insert into dead_letters (origin, position, reason, status) select 'outgoing_messages', "
        "id::text, 'r', case id when 2 then 'waiting' else 'discarded' end "
        "from outgoing_messages where status = 'failed'",
    )
    dict(RetentionPurge(engine).purge_by_category())
    assert _scalar(engine, "select count(*) from outgoing_messages") == expected_count


def test_message_body_is_kept_while_it_may_be_sent(engine: Engine, sample_users: SampleUsers) -> None:
    _execute(engine, MESSAGE, alice=sample_users.alice_id, status="failed", days=1)
    _execute(
        engine,
        "insert into outbox (user_id, client_seq, client_event, payload, published_at) select "
        ":alice, n, "
        "'notification', '{}', now() - interval '3 days' from generate_series(1, 5) n",
        alice=sample_users.alice_id,
    )
    _execute(engine, "update users set client_seq = 400 where id = :alice", alice=sample_users.alice_id)
    dict(RetentionPurge(engine).purge_by_category())
    assert _scalar(engine, "select array_agg(client_seq order by client_seq) from outbox") == [1, 2, 3]


def test_wrong_counters_are_corrected(
    engine: Engine, sample_users: SampleUsers, real_redis: redis.Redis
) -> None:
    _execute(
        engine,
        LIKE.format(active="true", days=0),
        post=sample_users.post_id,
        user=sample_users.bob_id,
    )
    _execute(engine, "update posts set like_count = 99")
    _execute(engine, "update users set follower_count = 7")
    real_redis.set(f"like:count:{sample_users.post_id}", 5)
    real_redis.sadd(f"like:users:{sample_users.post_id}", sample_users.bob_id, sample_users.carol_id)
    corrected = dict(CountRebuilder(engine, real_redis).rebuild_counts())
    assert corrected == {"posts": 1, "users": 4, "like:count": 1, "follow:count": 0}
    assert _scalar(engine, "select like_count from posts") == 1
    assert _scalar(engine, "select follower_count from users where id = :a", a=sample_users.alice_id) == 1
    assert real_redis.get(f"like:count:{sample_users.post_id}") == "2"


def test_write_during_a_recount_is_counted_once(
    engine: Engine, sample_users: SampleUsers, real_redis: redis.Redis
) -> None:
    """The writer has inserted its row and not yet updated the counter, which it then raises."""
    with engine.connect() as writer:
        writer.execute(
            text(LIKE.format(active="true", days=0)),
            {"post": sample_users.post_id, "user": sample_users.bob_id},
        )
        dict(CountRebuilder(engine, real_redis).rebuild_counts())
        writer.execute(text("update posts set like_count = like_count + 1"))
        writer.commit()
    assert _scalar(engine, "select like_count from posts") == 1
