"""The bounded cache of likes and follows: large posts, lookups, eviction (docs/adr/0022)."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text
from sqlalchemy import event as sqlalchemy_event

from app.clients.redis import redis_key
from app.domain.errors import Unavailable
from app.domain.events import Kind
from app.ingest import cache_eviction
from app.ingest.cache_eviction import MembershipCacheEviction
from app.ingest.comments import Comments
from app.ingest.ingress import IngressStreams
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, IngressLimits, MembershipState, MembershipStore
from app.persistence.pending_cache_updates import RedisUpdateQueue
from tests.integration.contract.test_ingress_append import comment_of
from tests.integration.contract.test_pending_comments import insert_comment
from tests.support.fixtures import SampleUsers, comment_event, insert_users, like_event
from tests.support.membership_harness import set_like
from tests.support.membership_pipeline import MembershipPipeline
from tests.support.post_counts import count_comments, read_likes

pytestmark = pytest.mark.service
LIMITS = IngressLimits(4, 100_000, 5.0)
MAX_MEMBERS = 3
ON, OFF, TOGGLE = DesiredState.ON, DesiredState.OFF, DesiredState.TOGGLE
StoreFactory = Callable[[Engine], MembershipStore]


@pytest.fixture
def make_store(redis_connection: redis.Redis) -> StoreFactory:
    def make_store(engine: Engine) -> MembershipStore:
        return MembershipStore(redis_connection, engine, LIMITS, max_cached_members=MAX_MEMBERS)

    return make_store


@pytest.fixture
def memberships(make_store: StoreFactory, engine: Engine) -> MembershipStore:
    return make_store(engine)


@pytest.fixture
def post_id(sample_users: SampleUsers) -> str:
    return sample_users.post_id


@pytest.fixture
def pipeline(redis_connection: redis.Redis, engine: Engine) -> MembershipPipeline:
    return MembershipPipeline(redis_connection, engine, LIMITS.shard_count)


@pytest.fixture
def evict(redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Removes everything that may leave, without waiting."""
    monkeypatch.setattr(cache_eviction, "MIN_IDLE_SECONDS", 0.0)
    return MembershipCacheEviction(redis_connection, idle_seconds=0.0).step


@pytest.fixture
def likers(engine: Engine, post_id: str) -> list[str]:
    """Five users who like the post: it is large."""
    user_ids = insert_users(engine, *(f"L{n}" for n in range(5)))
    with engine.begin() as conn:
        for user_id in user_ids:
            conn.execute(
                text("insert into likes (post_id, user_id) values (:post, :user)"),
                {"post": post_id, "user": user_id},
            )
        conn.execute(text("update posts set like_count = 5"))
    return user_ids


def count_and_state(memberships: MembershipStore, viewer_id: str, post_id: str) -> tuple[int, bool]:
    return read_likes(memberships, viewer_id, post_id)


def test_first_like_of_a_large_post_loads_its_count_but_no_members(
    memberships: MembershipStore,
    redis_connection: redis.Redis,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
) -> None:
    assert set_like(memberships, sample_users.bob_id, post_id) == MembershipState(True, 6)

    assert redis_connection.exists(POST_LIKES.members_key(post_id)) == 0
    assert redis_connection.hkeys(POST_LIKES.unwritten_key(post_id)) == [sample_users.bob_id]


@pytest.mark.parametrize(
    ("desired_states", "expected_state"),
    [
        pytest.param([ON], (True, 5), id="like again"),
        pytest.param([OFF], (False, 4), id="unlike"),
        pytest.param([OFF, OFF], (False, 4), id="unlike twice"),
        pytest.param([OFF, ON], (True, 5), id="unlike and like"),
        pytest.param([TOGGLE], (False, 4), id="toggle"),
        pytest.param([TOGGLE, TOGGLE], (True, 5), id="toggle twice"),
    ],
)
def test_liker_of_a_large_post_is_looked_up(
    memberships: MembershipStore,
    pipeline: MembershipPipeline,
    post_id: str,
    likers: list[str],
    desired_states: list[DesiredState],
    expected_state: tuple[bool, int],
) -> None:
    states = [set_like(memberships, likers[0], post_id, desired_state) for desired_state in desired_states]

    assert states[-1] == MembershipState(*expected_state)
    assert count_and_state(memberships, likers[0], post_id) == (expected_state[1], expected_state[0])
    pipeline.flush()
    assert count_and_state(memberships, likers[0], post_id) == (expected_state[1], expected_state[0])


def test_known_user_of_a_large_post_is_not_looked_up_again(
    memberships: MembershipStore,
    make_store: StoreFactory,
    unreachable_engine: Engine,
    post_id: str,
    likers: list[str],
) -> None:
    set_like(memberships, likers[0], post_id, OFF)

    assert set_like(make_store(unreachable_engine), likers[0], post_id, ON) == MembershipState(True, 5)


def test_lookup_that_another_write_overtook_is_repeated(
    memberships: MembershipStore,
    pipeline: MembershipPipeline,
    engine: Engine,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
) -> None:
    """Between the lookup and the like, the same like is accepted, written and settled elsewhere."""
    set_like(memberships, sample_users.carol_id, post_id)
    overtaken: list[MembershipState] = []

    def like_elsewhere(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "select active from likes" in statement and not overtaken:
            overtaken.append(MembershipState(False, 0))
            overtaken[0] = set_like(memberships, sample_users.bob_id, post_id)
            pipeline.flush()

    sqlalchemy_event.listen(engine, "after_cursor_execute", like_elsewhere)
    try:
        state = set_like(memberships, sample_users.bob_id, post_id)
    finally:
        sqlalchemy_event.remove(engine, "after_cursor_execute", like_elsewhere)

    assert [state, *overtaken] == [MembershipState(True, 7)] * 2


def test_small_post_becomes_large_with_one_like_too_many(
    memberships: MembershipStore,
    redis_connection: redis.Redis,
    pipeline: MembershipPipeline,
    engine: Engine,
    post_id: str,
) -> None:
    user_ids = insert_users(engine, *(f"S{n}" for n in range(MAX_MEMBERS + 1)))
    set_like(memberships, user_ids[0], post_id)
    pipeline.flush()

    counts = [set_like(memberships, user_id, post_id).count for user_id in user_ids]

    assert counts == [1, 2, 3, 4]
    assert redis_connection.exists(POST_LIKES.members_key(post_id)) == 0
    assert [set_like(memberships, user_id, post_id, OFF).count for user_id in user_ids] == [3, 2, 1, 0]
    pipeline.flush()
    assert count_and_state(memberships, user_ids[0], post_id) == (0, False)


@pytest.mark.parametrize("was_liked", [False, True])
def test_like_of_an_unknown_user_without_postgresql_is_counted_once_it_is_written(
    memberships: MembershipStore,
    make_store: StoreFactory,
    redis_connection: redis.Redis,
    unreachable_engine: Engine,
    pipeline: MembershipPipeline,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
    was_liked: bool,
) -> None:
    set_like(memberships, sample_users.carol_id, post_id)
    Comments(redis_connection, unreachable_engine).cache_zero_count(post_id)
    actor_id = likers[0] if was_liked else sample_users.bob_id
    store_without_postgresql = make_store(unreachable_engine)

    assert set_like(store_without_postgresql, actor_id, post_id, ON) == MembershipState(True, 6)
    assert count_and_state(store_without_postgresql, actor_id, post_id) == (6, True)
    pipeline.flush()

    assert count_and_state(memberships, actor_id, post_id) == (6 if was_liked else 7, True)


@pytest.mark.parametrize("was_liked", [False, True])
def test_unlike_of_an_unknown_user_is_counted_once_the_first_of_its_events_is_written(
    memberships: MembershipStore,
    make_store: StoreFactory,
    unreachable_engine: Engine,
    pipeline: MembershipPipeline,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
    was_liked: bool,
) -> None:
    set_like(memberships, sample_users.carol_id, post_id)
    actor_id = likers[0] if was_liked else sample_users.bob_id
    store_without_postgresql = make_store(unreachable_engine)
    before = 6 - was_liked

    unliked = set_like(store_without_postgresql, actor_id, post_id, OFF)
    assert unliked == MembershipState(False, 5)  # the correction may only raise it
    set_like(store_without_postgresql, actor_id, post_id, ON)
    first, *later = [event for event in pipeline.take_accepted() if event.actor_id == actor_id]
    pipeline.settle([first], pipeline.write([first]))

    assert count_and_state(memberships, actor_id, post_id) == (before + 1, True)
    pipeline.settle(later, pipeline.write(later))
    assert count_and_state(memberships, actor_id, post_id) == (before + 1, True)


def test_wrong_assumptions_about_unknown_users_are_corrected_from_below_zero(
    memberships: MembershipStore,
    make_store: StoreFactory,
    unreachable_engine: Engine,
    pipeline: MembershipPipeline,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
) -> None:
    set_like(memberships, sample_users.carol_id, post_id)
    set_like(make_store(unreachable_engine), sample_users.bob_id, post_id, OFF)  # he did not like it
    states = [set_like(memberships, user_id, post_id, OFF) for user_id in [*likers, sample_users.carol_id]]

    set_like(make_store(unreachable_engine), sample_users.alice_id, post_id, OFF)  # neither did she, at zero

    assert [state.count for state in states] == [4, 3, 2, 1, 0, 0]
    assert count_and_state(memberships, sample_users.bob_id, post_id) == (0, False)
    pipeline.flush()
    set_like(memberships, likers[0], post_id)

    assert count_and_state(memberships, sample_users.bob_id, post_id) == (1, False)


def test_toggle_of_an_unknown_user_without_postgresql_is_refused(
    memberships: MembershipStore,
    make_store: StoreFactory,
    unreachable_engine: Engine,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
) -> None:
    set_like(memberships, sample_users.carol_id, post_id)

    with pytest.raises(Unavailable) as error:
        set_like(make_store(unreachable_engine), sample_users.bob_id, post_id, TOGGLE)

    assert error.value.code == "postgres_unavailable"


def test_uncertain_count_is_loaded_again_once_everything_is_written(
    memberships: MembershipStore,
    make_store: StoreFactory,
    unreachable_engine: Engine,
    pipeline: MembershipPipeline,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
    redis_connection: redis.Redis,
    evict: Callable[[], int],
) -> None:
    """The worker died after the commit: the previous state of the row is not known to its successor."""
    set_like(memberships, sample_users.carol_id, post_id)
    set_like(make_store(unreachable_engine), sample_users.bob_id, post_id)
    events = pipeline.take_accepted()
    pipeline.write(events)
    pipeline.settle(events, pipeline.write(events))
    assert count_and_state(memberships, sample_users.bob_id, post_id) == (6, True)

    # Long before the post is idle.
    MembershipCacheEviction(redis_connection, idle_seconds=3600.0).step()

    assert redis_connection.exists(POST_LIKES.count_key(post_id)) == 0
    assert count_and_state(memberships, sample_users.bob_id, post_id) == (7, True)


def test_large_post_is_readable_without_postgresql(
    memberships: MembershipStore,
    make_store: StoreFactory,
    redis_connection: redis.Redis,
    unreachable_engine: Engine,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
) -> None:
    set_like(memberships, sample_users.carol_id, post_id)
    Comments(redis_connection, unreachable_engine).cache_zero_count(post_id)

    store_without_postgresql = make_store(unreachable_engine)

    assert count_and_state(store_without_postgresql, sample_users.carol_id, post_id) == (6, True)
    assert count_and_state(store_without_postgresql, likers[0], post_id) == (6, False)


def test_idle_post_leaves_redis_once_its_likes_and_comments_are_written(
    memberships: MembershipStore,
    redis_connection: redis.Redis,
    engine: Engine,
    pipeline: MembershipPipeline,
    sample_users: SampleUsers,
    post_id: str,
    evict: Callable[[], int],
) -> None:
    comments, event = Comments(redis_connection, engine), comment_event(sample_users.bob_id, sample_users, 1)
    comments.load_count_into_cache(post_id)
    IngressStreams(redis_connection, LIMITS).append_events([event], comment_of(event, sample_users))
    for shard in range(LIMITS.shard_count + 1):
        redis_connection.delete(f"ingress:{shard}")
    set_like(memberships, sample_users.bob_id, post_id)

    evict()
    assert redis_connection.exists(POST_LIKES.count_key(post_id))
    pipeline.flush()
    evict()
    assert redis_connection.exists(f"comment:count:{post_id}")
    insert_comment(engine, comment_of(event, sample_users))
    comments.remove_written_from_pending([(post_id, event.window_entry_key)])
    evict()

    assert redis_connection.keys(f"*{post_id}*") == []
    assert redis_connection.zcard("membership:idle") == 0
    assert count_and_state(memberships, sample_users.bob_id, post_id) == (1, True)
    assert count_comments(memberships, post_id) == 1
    assert set_like(memberships, sample_users.carol_id, post_id) == MembershipState(True, 2)


def test_post_in_use_stays_in_redis(
    memberships: MembershipStore, redis_connection: redis.Redis, sample_users: SampleUsers, post_id: str
) -> None:
    memberships.cache_loader.load_if_missing(POST_LIKES, post_id)

    assert MembershipCacheEviction(redis_connection, idle_seconds=60.0).step() == 0

    assert redis_connection.exists(POST_LIKES.count_key(post_id))


def test_deleted_post_stays_refused_after_it_was_idle(
    memberships: MembershipStore,
    redis_connection: redis.Redis,
    sample_users: SampleUsers,
    post_id: str,
    evict: Callable[[], int],
) -> None:
    memberships.cache_loader.load_if_missing(POST_LIKES, post_id)
    redis_connection.set(f"post:owner:{post_id}", "", ex=60)

    evict()

    assert redis_connection.get(f"post:owner:{post_id}") == ""


def test_load_that_was_read_too_long_ago_is_refused(
    memberships: MembershipStore,
    redis_connection: redis.Redis,
    post_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The post may have been loaded, liked, written and evicted since."""
    monkeypatch.setattr("app.ingest.cache_loader.LOAD_TIMEOUT_SECONDS", -0.5)

    memberships.cache_loader.load_if_missing(POST_LIKES, post_id)

    assert redis_connection.exists(POST_LIKES.count_key(post_id)) == 0


def test_events_that_expired_without_redis_are_subtracted_when_it_is_back(
    memberships: MembershipStore, redis_connection: redis.Redis, engine: Engine, sample_users: SampleUsers
) -> None:
    post_id = sample_users.post_id
    like, comment = (
        like_event(sample_users.bob_id, sample_users, 1),
        comment_event(sample_users.bob_id, sample_users, 2),
    )
    set_like(memberships, sample_users.bob_id, post_id)
    Comments(redis_connection, engine).cache_zero_count(post_id)
    IngressStreams(redis_connection, LIMITS).append_events([comment], comment_of(comment, sample_users))
    without_redis = RedisUpdateQueue(engine, redis.Redis.from_url("redis://127.0.0.1:1/0"))

    without_redis.update_after_write([like, comment], [like, comment])

    assert count_and_state(memberships, sample_users.alice_id, post_id) == (1, False)
    assert RedisUpdateQueue(engine, redis_connection).apply_pending_page()
    assert count_and_state(memberships, sample_users.alice_id, post_id) == (0, False)
    assert count_comments(memberships, post_id) == 0


def test_members_of_a_deleted_user_are_subtracted_once(
    memberships: MembershipStore,
    redis_connection: redis.Redis,
    engine: Engine,
    sample_users: SampleUsers,
    post_id: str,
    likers: list[str],
) -> None:
    set_like(memberships, sample_users.bob_id, post_id)
    set_like(memberships, likers[1], post_id, OFF)
    redis_updates = RedisUpdateQueue(engine, redis_connection)

    for _ in range(2):
        redis_updates.remove_like_or_follow(Kind.LIKE, post_id, likers[0], had_active_row=True)
        redis_updates.remove_like_or_follow(Kind.LIKE, post_id, likers[1], had_active_row=True)
        redis_updates.remove_like_or_follow(Kind.LIKE, post_id, sample_users.bob_id, had_active_row=False)

    assert redis_connection.get(POST_LIKES.count_key(post_id)) == "3"


def test_set_of_many_members_is_loaded_completely(
    redis_connection: redis.Redis, engine: Engine, sample_users: SampleUsers
) -> None:
    with engine.begin() as conn:
        conn.execute(
            text(
                "with new_users as (insert into users (email, username) "
                "select n || '@x', 'n' || n from generate_series(1, 2500) n returning id) "
                "insert into follows (following_id, follower_id) select :user, id from new_users"
            ),
            {"user": sample_users.alice_id},
        )
    memberships = MembershipStore(redis_connection, engine, LIMITS)

    memberships.cache_loader.load_if_missing(USER_FOLLOWS, sample_users.alice_id)

    members_key = USER_FOLLOWS.members_key(sample_users.alice_id)
    assert (redis_connection.scard(members_key), redis_connection.ttl(members_key)) == (2501, -1)
    assert redis_connection.keys(redis_key("follow", "loaded", "*")) == []
