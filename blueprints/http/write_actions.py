"""Access of views to the write actions, with the check of the Redis server before each write."""

from collections.abc import Callable

from app.clients.redis_server_check import RedisServerCheck
from app.ingest.actions import Actions


class WriteActions:
    """Immutable. An idempotent request works with a copy whose ids come from its idempotency key."""

    def __init__(
        self, actions: Actions, redis_server_check: RedisServerCheck, new_id: Callable[[], str]
    ) -> None:
        self._actions = actions
        self._redis_server_check = redis_server_check
        self.new_id = new_id

    def checked(self) -> Actions:
        """Raises Unavailable while Redis is too old or may evict keys, which would lose writes."""
        self._redis_server_check.raise_if_found_unsuitable()
        return self._actions

    def with_id_factory(self, new_id: Callable[[], str], is_retry: bool) -> "WriteActions":
        """A copy that takes its ids from `new_id`. `is_retry`: an earlier attempt with the same ids
        may have succeeded."""
        return WriteActions(self._actions.with_id_factory(new_id, is_retry), self._redis_server_check, new_id)
