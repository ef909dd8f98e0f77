"""What the retention purge deletes and keeps, and rebuilding counts beside a writer."""

import pytest
import redis
from sqlalchemy import Engine, text

from app.operations.rebuild_counts import CountRebuilder
from app.operations.retention import RetentionPurge
from tests.support.fixtures import SampleUsers

pytestmark = pytest.mark.service
READ_DAYS = 90


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
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
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
    purged = dict(RetentionPurge(engine, READ_DAYS, max_batch_rows=3).purge_by_category())
    assert purged["published client events"] == 10
    assert _scalar(engine, "select min(client_seq) from outbox") == 11


def test_unpublished_client_events_are_kept(engine: Engine, sample_users: SampleUsers) -> None:
    _execute(
        engine,
        "insert into outbox (user_id, client_event, payload, created_at) "
        "values (:alice, 'unread_count', '{}', now() - interval '9 days')",
        alice=sample_users.alice_id,
    )
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
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
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
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
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
    assert _scalar(engine, "select array_agg(client_seq order by client_seq) from outbox") == [1, 2, 3]


def test_all_client_events_are_deleted_once_their_notifications_may_be(
    engine: Engine, sample_users: SampleUsers
) -> None:
    """A client that was away longer reloads, and gets no announcement of a deleted notification."""
    _execute(
        engine,
        "insert into outbox (user_id, client_seq, client_event, payload, published_at) select :alice, n, "
        "'notification', '{}', now() - make_interval(days => 93 - n) from generate_series(1, 5) n",
        alice=sample_users.alice_id,
    )
    _execute(engine, "update users set client_seq = 5 where id = :alice", alice=sample_users.alice_id)
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
    assert _scalar(engine, "select array_agg(client_seq order by client_seq) from outbox") == [4, 5]


def test_events_that_newer_ones_supersede_after_they_were_kept_are_deleted(
    engine: Engine, sample_users: SampleUsers
) -> None:
    """The second purge reads only the rows that were published since, and deletes older ones."""
    insert = (
        "insert into outbox (user_id, client_seq, client_event, payload, published_at) select :alice, n, "
        "'notification', '{}', now() - make_interval(days => :days) from generate_series(:first, :last) n"
    )
    for first, last, days in ((1, 300, 5), (301, 304, 3)):
        _execute(engine, insert, alice=sample_users.alice_id, first=first, last=last, days=days)
        _execute(
            engine,
            "update users set client_seq = :last where id = :alice",
            last=last,
            alice=sample_users.alice_id,
        )
        purged = dict(RetentionPurge(engine, READ_DAYS, max_batch_rows=7).purge_by_category())
    assert purged["published client events"] == 4
    assert _scalar(engine, "select min(client_seq) from outbox") == 5


def test_client_events_without_a_number_are_deleted_after_two_days(
    engine: Engine, sample_users: SampleUsers
) -> None:
    _execute(
        engine,
        "insert into outbox (user_id, client_event, payload, published_at) select :alice, 'unread_count', "
        "'{}', now() - make_interval(days => n) from generate_series(0, 9) n",
        alice=sample_users.alice_id,
    )
    dict(RetentionPurge(engine, READ_DAYS, max_batch_rows=3).purge_by_category())
    assert _scalar(engine, "select count(*) from outbox") == 2


def test_suppressed_events_are_kept_as_long_as_read_notifications(
    engine: Engine, sample_users: SampleUsers
) -> None:
    _execute(
        engine,
        "insert into outbox (user_id, client_event, payload, published_at) select :alice, 'ended', '{}', "
        "now() - make_interval(days => d.days) from unnest(cast(:all_days as int[])) as d (days)",
        alice=sample_users.alice_id,
        all_days=[1, 5, READ_DAYS - 1, READ_DAYS + 1],
    )
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
    assert _scalar(engine, "select count(*) from outbox") == 3


SESSION = (
    "with s as (insert into sessions (user_id, revoked_at, created_at) values (:alice, "
    "case when :revoked then now() - interval '3 days' end, now() - interval '99 days') returning id) "
    "insert into refresh_tokens (token_hash, session_id, expires_at, used_at) select 't' || n, s.id, "
    "now() - make_interval(days => :newest_expired_days + 2 - n), case when n < 2 then now() end "
    "from s, generate_series(0, 2) n"
)


@pytest.mark.parametrize(
    ("revoked", "newest_expired_days", "expected_counts"),
    [
        pytest.param(True, -30, [0, 0], id="revoked"),
        pytest.param(False, 3, [0, 0], id="expired"),
        pytest.param(False, 1, [1, 1], id="expired recently: only its older tokens"),
        pytest.param(False, -30, [1, 3], id="active"),
    ],
)
def test_sessions_are_deleted_once_no_token_is_valid(
    engine: Engine,
    sample_users: SampleUsers,
    revoked: bool,
    newest_expired_days: int,
    expected_counts: list[int],
) -> None:
    _execute(
        engine,
        SESSION,
        alice=sample_users.alice_id,
        revoked=revoked,
        newest_expired_days=newest_expired_days,
    )
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
    counts = [_scalar(engine, f"select count(*) from {table}") for table in ("sessions", "refresh_tokens")]  # noqa: S608
    assert counts == expected_counts


@pytest.mark.parametrize(
    ("insert", "expected_count"),
    [
        pytest.param(
            "insert into kafka_fallback_queue "
            "(event_id, shard, seq, topic, payload, processed, processed_at) "
            "select uuidv7(), 0, n, 't', '{}', n > 0, "
            "case when n > 0 then now() - make_interval(days => n) end from generate_series(0, 4) n",
            2,
            id="kafka_fallback_queue",
        ),
        pytest.param(
            "insert into dead_letters (origin, position, reason, status, resolved_at) "
            "select 'o', n::text, 'r', "
            "case when n > 0 then 'discarded' else 'waiting' end, "
            "case when n > 0 then now() - make_interval(days => n) end from generate_series(0, 4) n",
            2,
            id="dead_letters",
        ),
        pytest.param(
            "insert into one_time_tokens (user_id, purpose, token_hash, expires_at) "
            "select u.id, 'otp', n::text, "
            "now() - make_interval(days => n) from generate_series(-1, 3) n, users u where u.name = 'Alice'",
            3,
            id="one_time_tokens",
        ),
        pytest.param(
            "insert into idempotency_keys (name, body_hash, id_seed, running_until, expires_at) "
            "select n::text, '', uuidv7(), now(), now() - make_interval(days => n) "
            "from generate_series(-1, 3) n",
            1,
            id="idempotency_keys",
        ),
        pytest.param(
            "insert into removed_accounts (user_id, removed_at) select uuidv7(), "
            "now() - make_interval(days => n) from generate_series(6, 10) n",
            2,
            id="removed_accounts",
        ),
        pytest.param(
            "insert into audit_log (action, created_at) select 'a', now() - interval '9 years' "
            "from generate_series(1, 3)",
            3,
            id="audit_log",
        ),
    ],
)
def test_rows_are_deleted_after_their_retention(
    engine: Engine,
    sample_users: SampleUsers,
    request: pytest.FixtureRequest,
    insert: str,
    expected_count: int,
) -> None:
    _execute(engine, insert)
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
    table = request.node.callspec.id
    assert _scalar(engine, f"select count(*) from {table}") == expected_count  # noqa: S608


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
