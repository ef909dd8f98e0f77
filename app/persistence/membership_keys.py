"""The Redis keys of likes, follows and comments, and the names of cached objects for cache_eviction.py.

Used by app/ingest/ (accepts and loads), app/persistence/ (corrects after a write) and app/operations/.
"""

from zlib import crc32

from app.clients.redis import redis_key
from app.domain.events import Kind

BUCKET_COUNT = 256
"""Buckets of users per large object: a lookup is repeated if an event of its bucket was settled since."""
_PREFIX_BY_KIND = {Kind.LIKE: "like", Kind.FOLLOW: "follow"}
_TYPE_BY_KIND = {Kind.LIKE: "post", Kind.FOLLOW: "user"}


def count_key(kind: Kind, object_id: str) -> str:
    return redis_key(_PREFIX_BY_KIND[kind], "count", object_id, slot_of=object_id)


def members_key(kind: Kind, object_id: str) -> str:
    """A set of user ids; complete unless the object is large."""
    return redis_key(_PREFIX_BY_KIND[kind], "users", object_id, slot_of=object_id)


def unwritten_key(kind: Kind, object_id: str) -> str:
    """A hash of accepted events that PostgreSQL may not have: user id -> "seq active"."""
    return redis_key(_PREFIX_BY_KIND[kind], "unwritten", object_id, slot_of=object_id)


def large_key(kind: Kind, object_id: str) -> str:
    """A hash that exists if the object has too many members for a set."""
    return redis_key(_PREFIX_BY_KIND[kind], "large", object_id, slot_of=object_id)


def all_keys(kind: Kind, object_id: str) -> list[str]:
    return [key(kind, object_id) for key in (count_key, members_key, unwritten_key, large_key)]


def post_owner_key(post_id: str) -> str:
    return redis_key("post", "owner", post_id, slot_of=post_id)


def comment_key(name: str, post_id: str) -> str:
    """`name`: count, pending or deleted."""
    return redis_key("comment", name, post_id, slot_of=post_id)


def idle_key(slot_of: str | int | None) -> str:
    """A sorted set: cached post, user or blocks -> time of the last use in ms."""
    return redis_key("membership", "idle", slot_of=slot_of)


def idle_set_entry(kind: Kind, object_id: str) -> str:
    """The name of a post or user in the sorted set."""
    return f"{_TYPE_BY_KIND[kind]}:{object_id}"


def blocks_idle_set_entry(user_id: str) -> str:
    return f"blocks:{user_id}"


def user_bucket(user_id: str) -> str:
    return str(crc32(user_id.encode()) % BUCKET_COUNT)
