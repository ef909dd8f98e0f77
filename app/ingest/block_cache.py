"""A copy of the table blocks in Redis, so that likes and follows are checked without SQL (docs/adr/0021).

In: app/ingest/membership_actions.py (changed blocks), app/ingest/cache_loader.py (loads of a user). Out:
Redis sets `follow:blocked:{user}`, which set_membership.lua reads.

A set has all users with whom a block exists, in either direction, and an empty member that marks it as
loaded. A change updates both sets before and after its transaction and makes them expire soon, so that a
process that dies in between leaves a wrong set only until then. In a cluster each hash slot has sets of its
own, because a script reads one slot: `slot_of` names the object whose slot is meant.
"""

import redis
from sqlalchemy import Engine, text

from app.clients.postgres import autocommit_engine
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import CLUSTER_TAGS, redis_key, register_script, translate_errors
from app.persistence import clear_watermarks, membership_keys

CHANGED_SET_TTL_MS = 30_000
"""Time to live of a set that was changed, or loaded during a change. Longer than the longest transaction
of a web process."""
NO_READ_TOKEN = "*"  # noqa: S105 - no secret


class UserBlockCache:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = autocommit_engine(engine)
        self._change_block_script = register_script(connection, "ingest/change_block")
        self._load_blocks_script = register_script(connection, "ingest/load_blocks")

    def apply_before_transaction(self, user_id: str, other_id: str, is_blocked: bool) -> None:
        """Call before the transaction. A block takes effect at once, an unblock does not. Raises
        Unavailable."""
        self._apply_change(user_id, other_id, "block" if is_blocked else "")

    def apply_after_transaction(self, user_id: str, other_id: str, is_blocked: bool) -> None:
        """Call after the transaction. Raises Unavailable."""
        self._apply_change(user_id, other_id, "block" if is_blocked else "unblock")

    def _apply_change(self, user_id: str, other_id: str, change: str) -> None:
        with translate_errors("change a block"):
            for slot in CLUSTER_TAGS.slots():
                self._change_block_script(
                    keys=[
                        blocked_set_key(user_id, slot),
                        blocked_set_key(other_id, slot),
                        blocks_version_key(slot),
                        blocks_changing_key(slot),
                    ],
                    args=[user_id, other_id, change, CHANGED_SET_TTL_MS],
                )

    def is_loaded(self, user_id: str, slot_of: str) -> bool:
        with translate_errors("read the cache"):
            return bool(self._redis.exists(blocked_set_key(user_id, slot_of)))

    def cache_no_blocks(self, user_id: str, slot_of: str) -> None:
        """Caches a new user as having no blocks."""
        self._store_blocked_ids(user_id, slot_of, [NO_READ_TOKEN])

    def load_user_blocks(self, user_id: str, slot_of: str) -> None:
        """Loads the blocks of one user. Raises Unavailable."""
        with translate_errors("read the version of blocks"):
            version = str(self._redis.get(blocks_version_key(slot_of)) or "")
        load_token = f"{clear_watermarks.read_cache_load_token(self._redis)} {version}"
        with translate_postgres_errors("read blocks"), self._engine.connect() as conn:
            blocked_ids = list(conn.execute(_SELECT_BLOCKED_IDS, {"user": user_id}).scalars())
        self._store_blocked_ids(user_id, slot_of, [load_token, *blocked_ids])

    def _store_blocked_ids(self, user_id: str, slot_of: str, token_and_ids: list[str]) -> None:
        with translate_errors("cache blocks"):
            self._load_blocks_script(
                keys=[
                    blocked_set_key(user_id, slot_of),
                    blocks_version_key(slot_of),
                    blocks_changing_key(slot_of),
                    redis_key("ingress", "enabled", slot_of=slot_of),
                    redis_key("clear", "watermark", slot_of=slot_of),
                    membership_keys.idle_key(slot_of),
                ],
                args=[CHANGED_SET_TTL_MS, membership_keys.blocks_idle_set_entry(user_id), *token_and_ids],
            )


def blocked_set_key(user_id: str, slot_of: str | int | None) -> str:
    return redis_key("follow", "blocked", user_id, slot_of=slot_of)


def blocks_version_key(slot_of: str | int | None) -> str:
    return redis_key("follow", "blocks", "version", slot_of=slot_of)


def blocks_changing_key(slot_of: str | int | None) -> str:
    return redis_key("follow", "blocks", "changing", slot_of=slot_of)


_SELECT_BLOCKED_IDS = text(
    "select blocked_user_id::text from blocks where user_id = :user "
    "union select user_id::text from blocks where blocked_user_id = :user"
)
