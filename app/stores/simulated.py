"""Simulated people: real accounts with a flag, made in bulk and taken away in bulk.

In    blueprints/simulate.py
Out   the tables users and notification_preferences; what simulated people like and follow
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import redis
from sqlalchemy import Connection, Engine, text

from app import stale
from app.domain.text import search_key
from app.stores.postgres import speaking
from app.stores.redis import key
from app.stores.redis import speaking as asking_redis
from app.stores.redis_updates import RedisUpdate
from app.stores.removals import Removals
from app.stores.users import NewUser

BATCH = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """A simulated person, and the post liked, the person followed or the comment said."""

    user_id: str
    subject_id: str


class Simulated:
    def __init__(self, engine: Engine, connection: redis.Redis, removals: Removals) -> None:
        self._engine = engine
        self._redis = connection
        self._removals = removals

    def create(self, people: Sequence[NewUser]) -> None:
        """All of them in one statement."""
        values = {
            "ids": [one.id for one in people],
            "emails": [one.email for one in people],
            "usernames": [one.username for one in people],
            "names": [one.name for one in people],
            "search_keys": [search_key(one.username, one.name) for one in people],
            "hash": people[0].password_hash,
        }
        with speaking("make simulated people"), self._engine.begin() as sql:
            sql.execute(_INSERT, values)
            sql.execute(_PREFERENCES, values)

    def some(self) -> list[str]:
        """The next batch of those who are left."""
        with speaking("find simulated people"), self._engine.connect() as sql:
            return list(sql.execute(_SOME, {"limit": BATCH}).scalars())

    def likes(self, user_ids: Sequence[str]) -> list[Pair]:
        return list(self._pairs("like", user_ids))

    def follows(self, user_ids: Sequence[str]) -> list[Pair]:
        return list(self._pairs("follow", user_ids))

    def comments(self, user_ids: Sequence[str]) -> list[Pair]:
        """Who said which comment, written or still pending."""
        found: set[tuple[str, str]] = set()
        with stale.unless_away():
            found |= self._pending_comments()
        with speaking("find what they said"), self._engine.connect() as sql:
            found |= {(row[0], row[1]) for row in sql.execute(_SAID, {"ids": list(user_ids)})}
        return [Pair(*pair) for pair in sorted(found) if pair[0] in set(user_ids)]

    def _pairs(self, prefix: str, user_ids: Sequence[str]) -> Iterator[Pair]:
        """From the rows, and from Redis: a gathered like has no row before its window ends."""
        found: set[tuple[str, str]] = set()
        with speaking("find what they did"), self._engine.connect() as sql:
            for row in sql.execute(_ROWS[prefix], {"ids": list(user_ids)}):
                found.add((row[0], row[1]))
        with stale.unless_away():
            found |= self._members(prefix, user_ids)
        yield from (Pair(*pair) for pair in sorted(found))

    def _pending_comments(self) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        with asking_redis("find what they said"):
            for name in self._redis.scan_iter(key("comment", "pending", "*"), count=500):
                for one, raw in self._redis.hgetall(name).items():
                    found.add((str(json.loads(raw)[0]), str(one)))
        return found

    def _members(self, prefix: str, user_ids: Sequence[str]) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        with asking_redis("find what they did"):
            for name in self._redis.scan_iter(key(prefix, "users", "*"), count=500):
                here = self._redis.smismember(name, list(user_ids))
                subject = str(name).rpartition(":")[2]
                found |= {(one, subject) for one, yes in zip(user_ids, here, strict=True) if yes}
        return found

    def wait_until_withdrawn(self, user_ids: Sequence[str], seconds: float) -> bool:
        """Whether no row of theirs is in force any more: groups and badges know it by then."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            with speaking("wait for the withdrawals"), self._engine.connect() as sql:
                if sql.execute(_IN_FORCE, {"ids": list(user_ids)}).first() is None:
                    return True
            time.sleep(0.1)
        return False

    def remove(self, user_ids: Sequence[str]) -> int:
        """Takes them away with all that is theirs, and corrects the counts of what stays."""
        values = {"ids": list(user_ids)}
        with speaking("remove simulated people"), self._engine.begin() as sql:
            # Locked first: whoever writes a row of theirs waits, and then finds them gone.
            sql.execute(_LOCK, values)
            update = self._what_redis_must_learn(sql, values)
            for statement in _CORRECTIONS:
                sql.execute(statement, values)
            removed = sql.execute(_DELETE, values).rowcount
            place = self._removals.updates.note(sql, update)
        self._removals.tell(place)
        return int(removed)

    def _what_redis_must_learn(self, sql: Connection, values: dict[str, list[str]]) -> RedisUpdate:
        """What they like and follow still, and where they commented: that is counted afresh."""
        posts = sql.execute(_COMMENTED, values).scalars()
        likes = [("LIKE", post, user) for user, post in sql.execute(_ROWS["like"], values)]
        follows = [("FOLLOW", other, user) for user, other in sql.execute(_ROWS["follow"], values)]
        return RedisUpdate(
            members=[*likes, *follows], keys=[key("comment", "count", post) for post in posts]
        )


_INSERT = text("""
    insert into users (id, email, username, name, search_key, password_hash, is_simulated)
    select n.id, n.email, n.username, n.name, n.search_key, :hash, true
    from unnest(cast(:ids as uuid[]), cast(:emails as text[]), cast(:usernames as text[]),
        cast(:names as text[]), cast(:search_keys as text[]))
        as n (id, email, username, name, search_key)
""")
_PREFERENCES = text(
    "insert into notification_preferences (user_id) select unnest(cast(:ids as uuid[]))"
)
_SOME = text("select id::text from users where is_simulated order by id limit :limit")
_ROWS = {
    "like": text(
        "select user_id::text, post_id::text from likes "
        "where user_id = any(cast(:ids as uuid[])) and active"
    ),
    "follow": text(
        "select follower_id::text, following_id::text from follows "
        "where follower_id = any(cast(:ids as uuid[])) and active"
    ),
}
_SAID = text(
    "select user_id::text, id::text from comments "
    "where user_id = any(cast(:ids as uuid[])) and active"
)
_IN_FORCE = text(
    "select 1 from likes where user_id = any(cast(:ids as uuid[])) and active union all "
    "select 1 from comments where user_id = any(cast(:ids as uuid[])) and active union all "
    "select 1 from follows where follower_id = any(cast(:ids as uuid[])) and active limit 1"
)
_LOCK = text("select 1 from users where id = any(cast(:ids as uuid[])) order by id for update")
_COMMENTED = text(
    "select distinct post_id::text from comments where user_id = any(cast(:ids as uuid[]))"
)
_CORRECTIONS = (
    text(
        "update posts set like_count = greatest(0, like_count - n.gone) from "
        "(select post_id, count(*) as gone from likes where user_id = any(cast(:ids as uuid[])) "
        "and active group by post_id) n where posts.id = n.post_id"
    ),
    text(
        "update posts set comment_count = greatest(0, comment_count - n.gone) from "
        "(select post_id, count(*) as gone from comments "
        "where user_id = any(cast(:ids as uuid[])) and active group by post_id) n "
        "where posts.id = n.post_id"
    ),
    text(
        "update users set follower_count = greatest(0, follower_count - n.gone) from "
        "(select following_id, count(*) as gone from follows "
        "where follower_id = any(cast(:ids as uuid[])) and active group by following_id) n "
        "where users.id = n.following_id"
    ),
)
_DELETE = text("delete from users where id = any(cast(:ids as uuid[])) and is_simulated")
