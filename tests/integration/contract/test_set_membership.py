"""MembershipStore.set_membership and its script: compare, count and append in one step."""

from collections.abc import Callable

import pytest
import redis
from sqlalchemy import Engine

from app.domain.errors import Rejected, Unavailable
from app.domain.event_codec import event_from_stream_fields
from app.domain.events import Event, Kind
from app.domain.routing import ingress_shard_of_object
from app.failover.redis_failover import INGRESS_ENABLED_KEY
from app.ingest.comments import Comments
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, IngressLimits, MembershipState, MembershipStore
from tests.support.fixtures import new_id
from tests.support.ingress_harness import stream_entries
from tests.support.membership_harness import set_follow, set_like
from tests.support.post_counts import read_likes

SHARDS = 4
ALICE_ID, BOB_ID, CAROL_ID, POST_ID = (new_id() for _ in range(4))
ON, OFF, TOGGLE = DesiredState.ON, DesiredState.OFF, DesiredState.TOGGLE
MembershipStoreFactory = Callable[..., MembershipStore]


@pytest.fixture
def make_memberships(redis_connection: redis.Redis, unreachable_engine: Engine) -> MembershipStoreFactory:
    def make_memberships(max_length: int = 1000, deadline_seconds: float = 5.0) -> MembershipStore:
        return MembershipStore(
            redis_connection,
            unreachable_engine,
            IngressLimits(SHARDS, max_length, deadline_seconds),
        )

    return make_memberships


@pytest.fixture
def memberships(
    make_memberships: MembershipStoreFactory, redis_connection: redis.Redis, unreachable_engine: Engine
) -> MembershipStore:
    """With Alice and her post POST_ID in the cache."""
    memberships = make_memberships()
    memberships.cache_loader.cache_as_empty(USER_FOLLOWS, ALICE_ID, ALICE_ID)
    memberships.cache_loader.cache_as_empty(POST_LIKES, POST_ID, ALICE_ID)
    Comments(redis_connection, unreachable_engine).cache_zero_count(POST_ID)
    return memberships


def all_entries(redis_connection: redis.Redis) -> list[tuple[str, dict[str, str]]]:
    return [entry for shard in range(SHARDS + 1) for entry in stream_entries(redis_connection, shard)]


def set_like_of_post(
    memberships: MembershipStore, actor_id: str, desired_state: DesiredState
) -> MembershipState:
    return set_like(memberships, actor_id, POST_ID, desired_state)


@pytest.mark.parametrize(
    ("requests", "expected_state", "event_count"),
    [
        pytest.param([(BOB_ID, ON)], (True, 1), 1, id="on"),
        pytest.param([(BOB_ID, ON), (BOB_ID, ON)], (True, 1), 2, id="on again is the same"),
        pytest.param([(BOB_ID, OFF)], (False, 0), 1, id="off without on is the same"),
        pytest.param([(BOB_ID, ON), (BOB_ID, OFF)], (False, 0), 2, id="off"),
        pytest.param([(BOB_ID, ON), (BOB_ID, OFF), (BOB_ID, OFF)], (False, 0), 3, id="off again"),
        pytest.param([(BOB_ID, TOGGLE)], (True, 1), 1, id="toggle on"),
        pytest.param([(BOB_ID, TOGGLE), (BOB_ID, TOGGLE)], (False, 0), 2, id="toggle off"),
        pytest.param([(BOB_ID, ON), (CAROL_ID, ON)], (True, 2), 2, id="two users"),
        pytest.param([(BOB_ID, ON), (CAROL_ID, ON), (BOB_ID, OFF)], (False, 1), 3, id="one of two unlikes"),
    ],
)
def test_set_membership_changes_state_and_count(
    redis_connection: redis.Redis,
    memberships: MembershipStore,
    requests: list[tuple[str, DesiredState]],
    expected_state: tuple[bool, int],
    event_count: int,
) -> None:
    states = [set_like_of_post(memberships, actor_id, desired_state) for actor_id, desired_state in requests]

    assert states[-1] == MembershipState(*expected_state)
    # A request that changes nothing is published as well: Redis may be older than a failover write.
    assert len(all_entries(redis_connection)) == event_count
    assert redis_connection.scard(f"like:users:{POST_ID}") == expected_state[1]
    assert redis_connection.get(f"like:count:{POST_ID}") == str(expected_state[1])


def test_like_is_appended_to_the_shard_of_its_post_as_a_complete_event(
    redis_connection: redis.Redis, memberships: MembershipStore
) -> None:
    event_id, traceparent = new_id(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    set_like(memberships, BOB_ID, POST_ID, ON, event_id, traceparent)

    [(stream_id, fields)] = stream_entries(redis_connection, ingress_shard_of_object(POST_ID, SHARDS))
    event = event_from_stream_fields(stream_id, fields)
    assert (event.event_id, event.kind, event.active) == (event_id, Kind.LIKE, True)
    assert (event.actor_id, event.recipient_id, event.object_id) == (BOB_ID, ALICE_ID, POST_ID)
    assert (event.object_type, event.traceparent) == ("POST", traceparent)


def _event(entry: tuple[str, dict[str, str]]) -> Event:
    return event_from_stream_fields(*entry)


def test_follow_is_counted_and_addressed_to_the_followed_user(
    redis_connection: redis.Redis, memberships: MembershipStore
) -> None:
    state = set_follow(memberships, BOB_ID, ALICE_ID, ON)

    [entry] = stream_entries(redis_connection, ingress_shard_of_object(ALICE_ID, SHARDS))
    event = _event(entry)
    assert state == MembershipState(True, 1)
    assert (event.kind, event.actor_id, event.recipient_id) == (Kind.FOLLOW, BOB_ID, ALICE_ID)
    assert redis_connection.get(f"follow:count:{ALICE_ID}") == "1"


def test_like_of_a_deleted_post_is_refused(
    redis_connection: redis.Redis, memberships: MembershipStore
) -> None:
    redis_connection.set(f"post:owner:{POST_ID}", "")

    with pytest.raises(Rejected) as error:
        set_like_of_post(memberships, BOB_ID, ON)

    assert error.value.status == 404
    assert all_entries(redis_connection) == []


@pytest.mark.parametrize(
    "deleted_key",
    [f"like:count:{POST_ID}", f"post:owner:{POST_ID}", f"follow:blocked:{ALICE_ID}"],
    ids=["likes", "owner", "blocks"],
)
def test_set_membership_of_an_uncached_post_needs_postgresql(
    redis_connection: redis.Redis, memberships: MembershipStore, deleted_key: str
) -> None:
    redis_connection.delete(deleted_key)

    with pytest.raises(Unavailable) as error:  # the load needs PostgreSQL
        set_like_of_post(memberships, BOB_ID, ON)

    assert error.value.code == "postgres_unavailable"
    assert all_entries(redis_connection) == []


def test_set_membership_after_its_deadline_has_no_effect(
    redis_connection: redis.Redis, memberships: MembershipStore, make_memberships: MembershipStoreFactory
) -> None:
    late_memberships = make_memberships(deadline_seconds=-0.5)

    with pytest.raises(Unavailable) as error:
        set_like_of_post(late_memberships, BOB_ID, ON)

    assert error.value.code == "deadline_exceeded"
    assert all_entries(redis_connection) == []
    assert read_likes(memberships, BOB_ID, POST_ID) == (0, False)


def test_full_ingress_refuses_and_changes_nothing(
    redis_connection: redis.Redis, memberships: MembershipStore, make_memberships: MembershipStoreFactory
) -> None:
    full_memberships = make_memberships(max_length=2 * SHARDS - 1)  # one entry per shard
    set_like_of_post(full_memberships, BOB_ID, ON)

    with pytest.raises(Unavailable) as error:
        set_like_of_post(full_memberships, CAROL_ID, ON)

    assert error.value.code == "ingress_full"
    assert read_likes(memberships, CAROL_ID, POST_ID) == (1, False)


def test_full_shard_does_not_refuse_writes_of_another(make_memberships: MembershipStoreFactory) -> None:
    full_memberships = make_memberships(max_length=SHARDS)
    post_shard = ingress_shard_of_object(POST_ID, SHARDS)
    other_user_id = next(
        user_id
        for user_id in iter(new_id, None)
        if ingress_shard_of_object(str(user_id), SHARDS) != post_shard
    )
    full_memberships.cache_loader.cache_as_empty(USER_FOLLOWS, other_user_id, other_user_id)
    full_memberships.cache_loader.cache_as_empty(USER_FOLLOWS, ALICE_ID, ALICE_ID)
    full_memberships.cache_loader.cache_as_empty(POST_LIKES, POST_ID, ALICE_ID)
    set_like_of_post(full_memberships, BOB_ID, ON)

    assert set_follow(full_memberships, BOB_ID, other_user_id, ON) == MembershipState(True, 1)


def test_full_ingress_accepts_requests_that_change_nothing(
    memberships: MembershipStore, make_memberships: MembershipStoreFactory
) -> None:
    set_like_of_post(memberships, BOB_ID, ON)
    full_memberships = make_memberships(max_length=1)
    state = set_like_of_post(full_memberships, BOB_ID, ON)

    assert state == MembershipState(True, 1, is_published=False)


def test_ingress_is_never_trimmed(redis_connection: redis.Redis, memberships: MembershipStore) -> None:
    actor_ids = [new_id() for _ in range(20)]
    for actor_id in actor_ids:
        set_like_of_post(memberships, actor_id, ON)

    assert [fields["actorId"] for _, fields in all_entries(redis_connection)] == actor_ids


def test_disabled_ingress_refuses_set_membership(
    redis_connection: redis.Redis, memberships: MembershipStore
) -> None:
    set_like_of_post(memberships, BOB_ID, ON)
    redis_connection.delete(INGRESS_ENABLED_KEY)

    with pytest.raises(Unavailable) as error:
        set_like_of_post(memberships, BOB_ID, OFF)

    assert error.value.code == "redis_failover"
    assert len(all_entries(redis_connection)) == 1
    assert redis_connection.sismember(f"like:users:{POST_ID}", BOB_ID)


def test_disabled_ingress_loads_nothing_into_the_cache(
    redis_connection: redis.Redis, make_memberships: MembershipStoreFactory
) -> None:
    redis_connection.delete(INGRESS_ENABLED_KEY)

    make_memberships().cache_loader.cache_as_empty(POST_LIKES, POST_ID, ALICE_ID)

    assert redis_connection.keys("*") == []
