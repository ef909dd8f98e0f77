"""Keys: one function builds them, and scripts use none that their caller did not declare."""

import re
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest
from sqlalchemy import Engine

from app.clients import postgres
from app.clients.redis import CLUSTER_TAGS, PACKAGE_DIR, redis_key
from app.domain.routing import ingress_shard_of_object
from app.ingest.cache_eviction import MembershipCacheEviction
from app.ingest.comments import Comments
from app.ingest.ingress import IngressStreams
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, IngressLimits, MembershipStore
from app.persistence.pending_cache_updates import RedisUpdateQueue
from app.persistence.written_memberships import WrittenMembership, WrittenMemberships
from tests.conftest import empty_redis
from tests.integration.contract.test_ingress_append import comment_of
from tests.support.fixtures import comment_event, unsaved_sample_users
from tests.support.membership_harness import set_follow, set_like

SHARDS = 4
LIMITS = IngressLimits(SHARDS, 1_000, 5.0)
SCRIPTS_WITH_UNDECLARED_KEYS = {
    "aggregation/lua/claim_windows.lua",
    "aggregation/lua/flush_open.lua",
    "aggregation/lua/gather_events.lua",
    "aggregation/lua/settle_windows.lua",
    "messaging/lua/record_trace.lua",
    "operations/lua/clear.lua",
}
"""They run on one server: windows and traces are named by what a script finds (docs/adr/0022)."""
KEY_PREFIX = re.compile(r"'[a-z_]+:[a-z_:]*' \.\.")
LITERAL_KEY = re.compile(r"redis\.p?call\('[A-Z]+', '(?!STREAM'|CREATE'|DESTROY')[a-z]")
SAMPLE = next(
    users
    for users in iter(unsaved_sample_users, None)
    if ingress_shard_of_object(users.alice_id, SHARDS) != ingress_shard_of_object(users.post_id, SHARDS)
)
"""The post and its owner belong to different shards."""


def lua_scripts() -> list[Path]:
    return sorted(PACKAGE_DIR.glob("*/lua/*.lua"))


@pytest.mark.parametrize("path", lua_scripts(), ids=lambda path: path.stem)
def test_script_uses_declared_keys_only(path: Path) -> None:
    code = re.sub(r"--[^\n]*", "", path.read_text())

    has_undeclared_keys = bool(KEY_PREFIX.search(code) or LITERAL_KEY.search(code))

    assert has_undeclared_keys is (str(path.relative_to(PACKAGE_DIR)) in SCRIPTS_WITH_UNDECLARED_KEYS)


def test_key_has_no_tag_on_one_server() -> None:
    assert (
        redis_key("like", "count", SAMPLE.post_id, slot_of=SAMPLE.post_id) == f"like:count:{SAMPLE.post_id}"
    )
    assert redis_key("ingress", 3, slot_of=3) == "ingress:3"


@pytest.fixture
def cluster_tags() -> Iterator[None]:
    CLUSTER_TAGS.shard_count = SHARDS
    yield
    CLUSTER_TAGS.shard_count = None


@pytest.mark.usefixtures("cluster_tags")
def test_key_in_a_cluster_ends_with_the_shard_of_its_object() -> None:
    shard = ingress_shard_of_object(SAMPLE.post_id, SHARDS)

    assert redis_key("like", "count", SAMPLE.post_id, slot_of=SAMPLE.post_id).endswith(f":{{{shard}}}")
    assert redis_key("ingress", shard, slot_of=shard) == f"ingress:{shard}:{{{shard}}}"


class KeyRecorder(fakeredis.FakeRedis):
    """Records the keys of each script call."""

    script_keys: list[tuple[str, ...]]

    def execute_command(self, *args: object, **options: object) -> object:
        if args[0] in ("EVALSHA", "EVAL"):
            key_count = int(str(args[2]))
            self.script_keys.append(tuple(map(str, args[3 : 3 + key_count])))
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("cluster_tags")
def test_all_keys_of_a_script_call_have_one_tag_in_a_cluster() -> None:
    connection = KeyRecorder(version=(6, 2), decode_responses=True)
    connection.script_keys = []
    empty_redis(connection)
    for slot in CLUSTER_TAGS.slots():
        connection.set(redis_key("ingress", "enabled", slot_of=slot), "instance-of-a-test")
    engine: Engine = postgres.create_pg_engine("postgresql://nobody@127.0.0.1:1/nothing")
    memberships = MembershipStore(connection, engine, LIMITS)
    memberships.cache_loader.cache_as_empty(USER_FOLLOWS, SAMPLE.alice_id, SAMPLE.alice_id)
    memberships.cache_loader.cache_as_empty(POST_LIKES, SAMPLE.post_id, SAMPLE.alice_id)
    memberships.cache_loader.block_cache.cache_no_blocks(SAMPLE.alice_id, slot_of=SAMPLE.post_id)
    comments, event = Comments(connection, engine), comment_event(SAMPLE.bob_id, SAMPLE, 1)
    comments.cache_zero_count(SAMPLE.post_id)

    assert set_like(memberships, SAMPLE.bob_id, SAMPLE.post_id, DesiredState.ON).count == 1
    assert set_follow(memberships, SAMPLE.bob_id, SAMPLE.alice_id, DesiredState.ON).count == 1
    assert IngressStreams(connection, LIMITS).append_events([event], comment_of(event, SAMPLE))
    RedisUpdateQueue(engine, connection).remove_like_or_follow(
        POST_LIKES.event_kind, SAMPLE.post_id, SAMPLE.bob_id, had_active_row=True
    )
    WrittenMemberships(connection).settle(
        [WrittenMembership(USER_FOLLOWS.event_kind, SAMPLE.alice_id, SAMPLE.bob_id, 2**52, False)]
    )
    memberships.cache_loader.block_cache.apply_after_transaction(SAMPLE.alice_id, SAMPLE.bob_id, True)
    MembershipCacheEviction(connection, idle_seconds=0.0).step()

    tags_by_call = [
        {re.search(r"\{\d+\}$", key) and key[-3:] for key in keys} for keys in connection.script_keys
    ]
    assert len(tags_by_call) > 10
    assert all(len(tags) == 1 and None not in tags for tags in tags_by_call)
