"""Simulated users: accounts with a flag, created and deleted in bulk.

Used by blueprints/testing/simulator.py. Tables: users, notification_preferences, and likes, follows and
comments of simulated users.
"""

import json
import time
from collections.abc import Sequence

import redis
from sqlalchemy import Engine, text

from app.clients import stale_reads
from app.clients.postgres import translate_errors
from app.clients.redis import redis_key
from app.clients.redis import translate_errors as translate_redis_errors
from app.domain.events import Kind
from app.domain.text import user_search_key
from app.social.removals import ACTIVE_MEMBERSHIPS, PostAndAccountRemoval, delete_users
from app.social.users import NewUser

BATCH_SIZE = 200
UserObjectPair = tuple[str, str]
"""A simulated user, and the post liked, the user followed or the comment written."""


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

    def list_comments(self, user_ids: Sequence[str]) -> list[UserObjectPair]:
        """Comments, persisted or pending."""
        pairs: set[UserObjectPair] = set()
        with stale_reads.mark_stale_if_redis_unavailable():
            pairs |= self._read_pending_comment_pairs()
        with translate_errors("list their comments"), self._engine.connect() as conn:
            pairs |= {(row[0], row[1]) for row in conn.execute(_SELECT_COMMENTS, {"users": list(user_ids)})}
        return sorted(pair for pair in pairs if pair[0] in set(user_ids))

    def list_memberships(self, kind: Kind, user_ids: Sequence[str]) -> list[UserObjectPair]:
        """Likes or follows, from the rows and from Redis: a gathered like has no row before its window
        closes."""
        params = {"users": list(user_ids)}
        with translate_errors("list their likes and follows"), self._engine.connect() as conn:
            pairs = {(row[0], row[1]) for row in conn.execute(ACTIVE_MEMBERSHIPS[kind], params)}
        with stale_reads.mark_stale_if_redis_unavailable():
            pairs |= self._read_redis_member_pairs(kind.value.lower(), user_ids)
        return sorted(pairs)

    def _read_pending_comment_pairs(self) -> set[UserObjectPair]:
        pairs: set[UserObjectPair] = set()
        with translate_redis_errors("list their comments"):
            for name in self._redis.scan_iter(redis_key("comment", "pending", "*"), count=500):
                for comment_id, raw in self._redis.hgetall(name).items():
                    pairs.add((str(json.loads(raw)[0]), str(comment_id)))
        return pairs

    def _read_redis_member_pairs(self, prefix: str, user_ids: Sequence[str]) -> set[UserObjectPair]:
        pairs: set[UserObjectPair] = set()
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
                if conn.execute(_ANY_ACTIVE_ROW, {"users": list(user_ids)}).first() is None:
                    return True
            time.sleep(0.1)
        return False

    def delete(self, user_ids: Sequence[str]) -> int:
        """Deletes users with all their data, and corrects the counts of other objects."""
        with translate_errors("delete simulated users"), self._engine.begin() as conn:
            # Locked first: a concurrent writer of their rows waits, and then finds them deleted.
            locked_ids = list(conn.execute(_LOCK_USERS, {"users": list(user_ids)}).scalars())
            update = delete_users(conn, locked_ids)
            update_id = self._removals.redis_updates.enqueue_in_transaction(conn, update)
        self._removals.apply_redis_update(update_id)
        return len(locked_ids)


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
_SELECT_COMMENTS = text(
    "select user_id::text, id::text from comments where user_id = any(cast(:users as uuid[])) and active"
)
_ANY_ACTIVE_ROW = text(
    "select 1 from likes where user_id = any(cast(:users as uuid[])) and active union all "
    "select 1 from comments where user_id = any(cast(:users as uuid[])) and active union all "
    "select 1 from follows where follower_id = any(cast(:users as uuid[])) and active limit 1"
)
_LOCK_USERS = text(
    "select id::text from users where id = any(cast(:users as uuid[])) and is_simulated "
    "order by users.id for update"
)
