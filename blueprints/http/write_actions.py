"""Access of views to the write actions, with the check of Redis's eviction policy before each write."""

from collections.abc import Callable

from app.clients.eviction_policy_check import EvictionPolicyCheck
from app.ingest.actions import Actions


class WriteActions:
    """Immutable. An idempotent request works with a copy whose ids come from its idempotency key."""

    def __init__(
        self, actions: Actions, eviction_policy_check: EvictionPolicyCheck, new_id: Callable[[], str]
    ) -> None:
        self._actions = actions
        self._eviction_policy_check = eviction_policy_check
        self.new_id = new_id

    def checked(self) -> Actions:
        """Raises Unavailable while Redis is configured to evict keys, which would lose writes."""
        self._eviction_policy_check.raise_if_policy_wrong()
        return self._actions

    def with_id_factory(self, new_id: Callable[[], str], is_retry: bool) -> "WriteActions":
        """A copy that takes its ids from `new_id`. `is_retry`: an earlier attempt with the same ids
        may have succeeded."""
        return WriteActions(
            self._actions.with_id_factory(new_id, is_retry), self._eviction_policy_check, new_id
        )
