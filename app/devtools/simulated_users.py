"""Simulated users: accounts with a flag, created and deleted in bulk.

Used by blueprints/testing/simulator.py. Tables: users, notification_preferences, and likes, follows and
comments of simulated users.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import redis
from sqlalchemy import Connection, Engine, text

from app.clients import stale_reads
from app.clients.postgres import translate_errors
from app.clients.redis import redis_key
from app.clients.redis import translate_errors as translate_redis_errors
from app.domain.text import user_search_key
from app.persistence import membership_keys
from app.persistence.pending_cache_updates import PendingRedisUpdate
from app.social.removals import PostAndAccountRemoval
from app.social.users import NewUser

BATCH_SIZE = 200


@dataclass(frozen=True, slots=True)
class UserObjectPair:
    """A simulated user, and the post liked, the user followed or the comment written."""

    user_id: str
    object_id: str


class SimulatedUsers:
    def __init__(self, engine: Engine, connection: redis.Redis, removals: PostAndAccountRemoval) -> None:
        self._engine = engine
        self._redis = connection
        self._removals = removals

    def create(self, new_users: Sequence[NewUser]) -> None:
        """Inserts all of them with one statement per table."""
        params = {
            "ids": [user.id for user in new_users],
            "emails": [user.email for user in new_users],
            "usernames": [user.username for user in new_users],
            "names": [user.name for user in new_users],
            "search_keys": [user_search_key(user.username, user.name) for user in new_users],
            "hash": new_users[0].password_hash,
        }
        with translate_errors("create simulated users"), self._engine.begin() as conn:
            conn.execute(_INSERT_USERS, params)
            conn.execute(_INSERT_PREFERENCES, params)

    def list_first_batch(self) -> list[str]:
        """Up to BATCH_SIZE simulated users."""
        with translate_errors("list simulated users"), self._engine.connect() as conn:
            return list(conn.execute(_NEXT_BATCH, {"limit": BATCH_SIZE}).scalars())

    def list_likes(self, user_ids: Sequence[str]) -> list[UserObjectPair]:
        return list(self._iter_like_or_follow_pairs("like", user_ids))

    def list_follows(self, user_ids: Sequence[str]) -> list[UserObjectPair]:
        return list(self._iter_like_or_follow_pairs("follow", user_ids))

    def list_comments(self, user_ids: Sequence[str]) -> list[UserObjectPair]:
        """(user_id, comment_id) of comments, persisted or pending."""
        user_comment_pairs: set[tuple[str, str]] = set()
        with stale_reads.mark_stale_if_redis_unavailable():
            user_comment_pairs |= self._read_pending_comment_pairs()
        with translate_errors("list their comments"), self._engine.connect() as conn:
            user_comment_pairs |= {
                (row[0], row[1]) for row in conn.execute(_SELECT_COMMENTS, {"ids": list(user_ids)})
            }
        return [
            UserObjectPair(*user_and_comment)
            for user_and_comment in sorted(user_comment_pairs)
            if user_and_comment[0] in set(user_ids)
        ]

    def _iter_like_or_follow_pairs(self, prefix: str, user_ids: Sequence[str]) -> Iterator[UserObjectPair]:
        """From the rows and from Redis: a gathered like has no row before its window closes."""
        pairs: set[tuple[str, str]] = set()
        with translate_errors("list their likes and follows"), self._engine.connect() as conn:
            for row in conn.execute(_SELECT_PAIRS[prefix], {"ids": list(user_ids)}):
                pairs.add((row[0], row[1]))
        with stale_reads.mark_stale_if_redis_unavailable():
            pairs |= self._read_redis_member_pairs(prefix, user_ids)
        yield from (UserObjectPair(*user_and_object) for user_and_object in sorted(pairs))

    def _read_pending_comment_pairs(self) -> set[tuple[str, str]]:
        pairs: set[tuple[str, str]] = set()
        with translate_redis_errors("list their comments"):
            for name in self._redis.scan_iter(redis_key("comment", "pending", "*"), count=500):
                for comment_id, raw in self._redis.hgetall(name).items():
                    pairs.add((str(json.loads(raw)[0]), str(comment_id)))
        return pairs

    def _read_redis_member_pairs(self, prefix: str, user_ids: Sequence[str]) -> set[tuple[str, str]]:
        pairs: set[tuple[str, str]] = set()
        with translate_redis_errors("list their likes and follows"):
            for name in self._redis.scan_iter(redis_key(prefix, "users", "*"), count=500):
                memberships = self._redis.smismember(name, list(user_ids))
                object_id = str(name).split(":")[2]
                pairs |= {
                    (user_id, object_id)
                    for user_id, is_member in zip(user_ids, memberships, strict=True)
                    if is_member
                }
            for name in self._redis.scan_iter(redis_key(prefix, "unwritten", "*"), count=500):
                object_id, unwritten = str(name).split(":")[2], self._redis.hmget(name, list(user_ids))
                pairs |= {
                    (user_id, object_id)
                    for user_id, entry in zip(user_ids, unwritten, strict=True)
                    if entry is not None and str(entry).split(" ")[1] == "1"
                }
        return pairs

    def wait_until_retracted(self, user_ids: Sequence[str], timeout_seconds: float) -> bool:
        """Waits until none of their rows is active; groups and unread counts are correct by then."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            with translate_errors("check for active rows"), self._engine.connect() as conn:
                if conn.execute(_ANY_ACTIVE_ROW, {"ids": list(user_ids)}).first() is None:
                    return True
            time.sleep(0.1)
        return False

    def delete(self, user_ids: Sequence[str]) -> int:
        """Deletes users with all their data, and corrects the counts of other objects."""
        params = {"ids": list(user_ids)}
        with translate_errors("delete simulated users"), self._engine.begin() as conn:
            # Locked first: a concurrent writer of their rows waits, and then finds them deleted.
            conn.execute(_LOCK_USERS, params)
            update = self._build_redis_update(conn, params)
            for statement in _COUNT_CORRECTIONS:
                conn.execute(statement, params)
            removed = conn.execute(_DELETE_USERS, params).rowcount
            update_id = self._removals.redis_updates.enqueue_in_transaction(conn, update)
        self._removals.apply_redis_update(update_id)
        return int(removed)

    def _build_redis_update(self, conn: Connection, params: dict[str, list[str]]) -> PendingRedisUpdate:
        """Active likes and follows to remove from Redis, and comment counts to invalidate."""
        commented_post_ids = conn.execute(_COMMENTED_POSTS, params).scalars()
        likes = [
            ("LIKE", post_id, user_id) for user_id, post_id in conn.execute(_SELECT_PAIRS["like"], params)
        ]
        follows = [
            ("FOLLOW", followed_user_id, user)
            for user, followed_user_id in conn.execute(_SELECT_PAIRS["follow"], params)
        ]
        return PendingRedisUpdate(
            removed_members=[*likes, *follows],
            invalidated_keys=[membership_keys.comment_key("count", post) for post in commented_post_ids],
        )


_INSERT_USERS = text("""
    insert into users (id, email, username, name, search_key, password_hash, is_simulated)
    select n.id, n.email, n.username, n.name, n.search_key, :hash, true
    from unnest(cast(:ids as uuid[]), cast(:emails as text[]), cast(:usernames as text[]),
        cast(:names as text[]), cast(:search_keys as text[]))
        as n (id, email, username, name, search_key)
""")
_INSERT_PREFERENCES = text(
    "insert into notification_preferences (user_id) select unnest(cast(:ids as uuid[]))"
)
_NEXT_BATCH = text("select id::text from users where is_simulated order by users.id limit :limit")
_SELECT_PAIRS = {
    "like": text(
        "select user_id::text, post_id::text from likes where user_id = any(cast(:ids as uuid[])) and active"
    ),
    "follow": text(
        "select follower_id::text, following_id::text from follows "
        "where follower_id = any(cast(:ids as uuid[])) and active"
    ),
}
_SELECT_COMMENTS = text(
    "select user_id::text, id::text from comments where user_id = any(cast(:ids as uuid[])) and active"
)
_ANY_ACTIVE_ROW = text(
    "select 1 from likes where user_id = any(cast(:ids as uuid[])) and active union all "
    "select 1 from comments where user_id = any(cast(:ids as uuid[])) and active union all "
    "select 1 from follows where follower_id = any(cast(:ids as uuid[])) and active limit 1"
)
_LOCK_USERS = text("select 1 from users where id = any(cast(:ids as uuid[])) order by id for update")
_COMMENTED_POSTS = text(
    "select distinct post_id::text from comments where user_id = any(cast(:ids as uuid[]))"
)
_COUNT_CORRECTIONS = (
    text(
        "update posts set like_count = greatest(0, like_count - n.removed) from "
        "(select post_id, count(*) as removed from likes where user_id = any(cast(:ids as uuid[])) "
        "and active group by post_id) n where posts.id = n.post_id"
    ),
    text(
        "update posts set comment_count = greatest(0, comment_count - n.removed) from "
        "(select post_id, count(*) as removed from comments "
        "where user_id = any(cast(:ids as uuid[])) and active group by post_id) n "
        "where posts.id = n.post_id"
    ),
    text(
        "update users set follower_count = greatest(0, follower_count - n.removed) from "
        "(select following_id, count(*) as removed from follows "
        "where follower_id = any(cast(:ids as uuid[])) and active group by following_id) n "
        "where users.id = n.following_id"
    ),
)
_DELETE_USERS = text("delete from users where id = any(cast(:ids as uuid[])) and is_simulated")
