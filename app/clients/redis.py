"""Redis: creates clients with timeouts, loads Lua scripts, builds keys; connection errors are translated by
app/clients/redis_health.py.

redis-py's default of ten silent retries may apply a write twice (measured), so retries are off
and each caller decides. Pools are bounded, because a burst of greenlets would open a connection each.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from app.clients.redis_health import REDIS_HEALTH
from app.domain.routing import ingress_shard_of_object

PACKAGE_DIR = Path(__file__).resolve().parent.parent
COMMAND_TIMEOUT_SECONDS = 1.0
CONNECT_TIMEOUT_SECONDS = 0.5
POOL_WAIT_TIMEOUT_SECONDS = 0.5
translate_errors = REDIS_HEALTH.guard_call
"""`with translate_errors("do this"):` around each call."""


def create_redis_client(url: str, max_connections: int = 32) -> redis.Redis:
    """A client for commands. Connects at its first use."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=POOL_WAIT_TIMEOUT_SECONDS,
        socket_timeout=COMMAND_TIMEOUT_SECONDS,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        redis_connect_func=_on_connect,
        # A value that is not UTF-8 must not make others in the same reply unreadable.
        encoding_errors="backslashreplace",
    )
    return redis.Redis(connection_pool=pool)


def _on_connect(connection: Any) -> None:
    """Redis may have been unavailable before this connection, although no call failed."""
    REDIS_HEALTH.require_reverification()
    connection.on_connect()


def register_script(connection: "redis.Redis", name: str) -> Script:
    """Registers the Lua script `name`, given as "<package>/<file>": "ingest/set_membership" is
    app/ingest/lua/set_membership.lua."""
    return connection.register_script(read_lua_source(name))


def read_lua_source(name: str) -> str:
    """The text of the Lua script `name` (see register_script)."""
    package, _, script = name.partition("/")
    return (PACKAGE_DIR / package / "lua" / f"{script}.lua").read_text()


class ClusterTags:
    """Hash tags of keys, for a Redis cluster: one per ingress shard."""

    def __init__(self) -> None:
        self.shard_count: int | None = None
        """None: one server. Then keys have no tags."""

    def slots(self) -> Sequence[int | None]:
        """The shards whose keys have names of their own: all of them in a cluster, else one for all."""
        return (None,) if self.shard_count is None else range(self.shard_count + 1)


CLUSTER_TAGS = ClusterTags()


def redis_key(*parts: str | int, slot_of: str | int | None = None) -> str:
    """The parts joined by colons (docs/stores.md lists the keys).

    `slot_of`: the ingress shard whose hash slot the key belongs to, or an object of that shard. In a cluster
    the shard is added as a hash tag, so that a script finds the stream of a shard and all keys of its objects
    in one slot.
    """
    if slot_of is not None and CLUSTER_TAGS.shard_count is not None:
        is_shard = isinstance(slot_of, int)
        shard = slot_of if is_shard else ingress_shard_of_object(str(slot_of), CLUSTER_TAGS.shard_count)
        parts = (*parts, f"{{{shard}}}")
    return ":".join(map(str, parts))
