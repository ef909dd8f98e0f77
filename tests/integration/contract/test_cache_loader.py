"""Loading memberships from PostgreSQL into Redis: once, and never over newer state."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from sqlalchemy import Engine, text

from app.domain.errors import Rejected
from app.ingest.comments import Comments
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, IngressLimits, MembershipState, MembershipStore
from tests.support.fixtures import SampleUsers, insert_users, new_id
from tests.support.membership_harness import set_like
from tests.support.post_counts import read_likes
from tests.support.sql_recorder import record_sql

pytestmark = pytest.mark.service


@pytest.fixture
def memberships(redis_connection: redis.Redis, engine: Engine) -> MembershipStore:
    return MembershipStore(redis_connection, engine, IngressLimits(4, 1000, 5.0))


def write_like(engine: Engine, sample_users: SampleUsers, actor_id: str, active: bool) -> None:
    with engine.begin() as conn:
        conn.execute(
            text("insert into likes (post_id, user_id, active) values (:post, :actor, :active)"),
            {"post": sample_users.post_id, "actor": actor_id, "active": active},
        )


def test_first_like_of_an_uncached_post_counts_the_stored_likes(
    memberships: MembershipStore, engine: Engine, sample_users: SampleUsers
) -> None:
    write_like(engine, sample_users, sample_users.carol_id, active=True)
    write_like(engine, sample_users, sample_users.dave_id, active=False)

    state = set_like(memberships, sample_users.bob_id, sample_users.post_id, DesiredState.ON)

    assert state == MembershipState(True, 2)
    assert read_likes(memberships, sample_users.carol_id, sample_users.post_id) == (2, True)


def test_like_already_in_the_table_is_not_counted_again(
    memberships: MembershipStore, engine: Engine, sample_users: SampleUsers
) -> None:
    write_like(engine, sample_users, sample_users.carol_id, active=True)

    assert set_like(
        memberships, sample_users.carol_id, sample_users.post_id, DesiredState.ON
    ) == MembershipState(True, 1)


def test_cached_post_needs_no_query(
    memberships: MembershipStore, redis_connection: redis.Redis, engine: Engine, sample_users: SampleUsers
) -> None:
    memberships.cache_loader.load_if_missing(POST_LIKES, sample_users.post_id)
    Comments(redis_connection, engine).load_count_into_cache(sample_users.post_id)

    with record_sql(engine) as sql:
        set_like(memberships, sample_users.bob_id, sample_users.post_id, DesiredState.ON)
        read_likes(memberships, sample_users.bob_id, sample_users.post_id)

    assert sql.statements == []


def test_concurrent_first_likes_load_a_post_once(
    memberships: MembershipStore, engine: Engine, sample_users: SampleUsers
) -> None:
    actor_ids = insert_users(engine, *(f"P{n}" for n in range(8)))

    with record_sql(engine) as sql, ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(set_like, memberships, actor_id, sample_users.post_id) for actor_id in actor_ids
        ]
        counts = {future.result().count for future in futures}

    assert counts == set(range(1, 9))
    assert sql.statements.count(_driver_form(POST_LIKES.select_object_sql)) == 1
    # The owner's followers are not needed.
    assert _driver_form(USER_FOLLOWS.select_object_sql) not in sql.statements


def _driver_form(sql: str) -> str:
    return sql.replace(":id", "%(id)s").replace(":max_members", "%(max_members)s")


def test_late_cache_load_does_not_undo_a_newer_like(
    memberships: MembershipStore, engine: Engine, sample_users: SampleUsers
) -> None:
    set_like(memberships, sample_users.bob_id, sample_users.post_id, DesiredState.ON)

    # An empty set, as a slow loader read it before the like.
    memberships.cache_loader.cache_as_empty(POST_LIKES, sample_users.post_id, sample_users.alice_id)

    assert read_likes(memberships, sample_users.bob_id, sample_users.post_id) == (1, True)


@pytest.mark.parametrize("desired_state", list(DesiredState))
def test_like_of_an_unknown_post_is_refused(
    memberships: MembershipStore, desired_state: DesiredState
) -> None:
    with pytest.raises(Rejected) as error:
        set_like(memberships, new_id(), new_id(), desired_state)

    assert error.value.status == 404


def test_reads_of_an_uncached_post_come_from_the_table(
    memberships: MembershipStore, engine: Engine, sample_users: SampleUsers
) -> None:
    write_like(engine, sample_users, sample_users.carol_id, active=True)
    with engine.begin() as conn:
        conn.execute(text("update posts set like_count = 1"))

    assert read_likes(memberships, sample_users.carol_id, sample_users.post_id) == (1, True)
    assert memberships.get_follower_counts_and_states(sample_users.bob_id, [sample_users.alice_id]) == {
        sample_users.alice_id: (1, True)
    }
