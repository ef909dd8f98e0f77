"""What purge takes and what it leaves; counts made afresh beside a writer."""

from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text

from app.stores.recount import Recount
from app.stores.retention import Retention
from tests.cast import Cast, assemble

pytestmark = pytest.mark.service


@pytest.fixture
def cast(engine: Engine) -> Cast:
    return assemble(engine)


def _do(engine: Engine, statement: str, **values: object) -> None:
    with engine.begin() as sql:
        sql.execute(text(statement), values)


def _one(engine: Engine, statement: str, **values: object) -> object:
    with engine.connect() as sql:
        return sql.execute(text(statement), values).scalar()


LIKE = (
    "insert into likes (post_id, user_id, seq, active, updated_at) "
    "values (:post, :user, 1, {active}, now() - interval '{days} days')"
)


@pytest.mark.parametrize(
    ("active", "days", "left"),
    [("false", 9, 0), ("false", 7, 1), ("true", 900, 1)],
    ids=["an old tombstone goes", "one that Kafka may outlive stays", "what stands stays"],
)
def test_tombstones(engine: Engine, cast: Cast, active: str, days: int, left: int) -> None:
    _do(engine, LIKE.format(active=active, days=days), post=cast.post, user=cast.bob)
    dict(Retention(engine).purge())
    assert _one(engine, "select count(*) from likes") == left


def test_each_person_keeps_the_newest_frames(engine: Engine, cast: Cast) -> None:
    _do(
        engine,
        "insert into outbox (user_id, seq, frame, payload, published_at) select :alice, n, "
        "'notification', '{}', now() - interval '3 days' from generate_series(1, 310) n",
        alice=cast.alice,
    )
    _do(engine, "update users set frame_seq = 310 where id = :alice", alice=cast.alice)
    purged = dict(Retention(engine, batch=3).purge())
    assert purged["told frames"] == 10
    assert _one(engine, "select min(seq) from outbox") == 11


def test_frames_that_were_not_told_stay(engine: Engine, cast: Cast) -> None:
    _do(
        engine,
        "insert into outbox (user_id, frame, payload, created_at) "
        "values (:alice, 'unread_count', '{}', now() - interval '9 days')",
        alice=cast.alice,
    )
    dict(Retention(engine).purge())
    assert _one(engine, "select count(*) from outbox") == 1


MESSAGE = (
    "insert into outgoing_messages (id, user_id, seq, notification_id, version, channel, type, "
    "critical, status, due_at, expires_at, ended_at) select n, :alice, n, uuidv7(), 1, 'EMAIL', "
    "'OTP', true, :status, now(), now(), case when :status <> 'waiting' then now() "
    "- make_interval(days => :days) end from generate_series(1, 3) n"
)


@pytest.mark.parametrize(
    ("status", "days", "left"),
    [
        pytest.param("delivered", 3, 0, id="sent"),
        pytest.param("delivered", 1, 3, id="sent lately: its frame may be read again"),
        pytest.param("failed", 3, 1, id="failed: as long as its dead letter waits"),
        pytest.param("waiting", 0, 3, id="not sent yet"),
    ],
)
def test_messages_go_when_nobody_can_ask_for_them(
    engine: Engine, cast: Cast, status: str, days: int, left: int
) -> None:
    _do(engine, MESSAGE, alice=cast.alice, status=status, days=days)
    _do(
        engine,
        "insert into dead_letters (origin, position, reason, status) select 'outgoing_messages', "
        "id::text, 'r', case id when 2 then 'waiting' else 'discarded' end "
        "from outgoing_messages where status = 'failed'",
    )
    dict(Retention(engine).purge())
    assert _one(engine, "select count(*) from outgoing_messages") == left


def test_what_a_message_says_stays_as_long_as_it_may_be_sent(engine: Engine, cast: Cast) -> None:
    _do(engine, MESSAGE, alice=cast.alice, status="failed", days=1)
    _do(
        engine,
        "insert into outbox (user_id, seq, frame, payload, published_at) select :alice, n, "
        "'notification', '{}', now() - interval '3 days' from generate_series(1, 5) n",
        alice=cast.alice,
    )
    _do(engine, "update users set frame_seq = 400 where id = :alice", alice=cast.alice)
    dict(Retention(engine).purge())
    assert _one(engine, "select array_agg(seq order by seq) from outbox") == [1, 2, 3]


def test_counts_are_made_afresh(engine: Engine, cast: Cast, real_redis: redis.Redis) -> None:
    _do(engine, LIKE.format(active="true", days=0), post=cast.post, user=cast.bob)
    _do(engine, "update posts set like_count = 99")
    _do(engine, "update users set follower_count = 7")
    real_redis.set(f"like:count:{cast.post}", 5)
    real_redis.sadd(f"like:users:{cast.post}", cast.bob, cast.carol)
    wrong = dict(Recount(engine, real_redis).rebuild())
    assert wrong == {"posts": 1, "users": 4, "like:count": 1, "follow:count": 0}
    assert _one(engine, "select like_count from posts") == 1
    assert _one(engine, "select follower_count from users where id = :a", a=cast.alice) == 1
    assert real_redis.get(f"like:count:{cast.post}") == "2"


def test_a_writer_in_between_is_counted_once(
    engine: Engine, cast: Cast, real_redis: redis.Redis
) -> None:
    """It has inserted its row and not yet counted it: it adds to what we wrote."""
    with engine.connect() as writer:
        writer.execute(
            text(LIKE.format(active="true", days=0)), {"post": cast.post, "user": cast.bob}
        )
        dict(Recount(engine, real_redis).rebuild())
        writer.execute(text("update posts set like_count = like_count + 1"))
        writer.commit()
    assert _one(engine, "select like_count from posts") == 1


def test_the_readme_says_how(request: pytest.FixtureRequest) -> None:
    readme = (Path(request.config.rootpath) / "README.md").read_text()
    assert "rebuild-counts" in readme
    assert "app.admin purge" in readme
