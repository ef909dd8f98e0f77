"""Likes, follows and blocks of a user.

In: blueprints. Out: app/ingest/memberships.py, one atomic step in Redis, or app/ingest/failover_path.py
during a Redis failover; blocks also go to the table blocks and to the block cache.
"""

import logging
from collections.abc import Callable

from app.domain.errors import Unavailable, define_rejection
from app.failpoints import hit_failpoint
from app.ingest.action_base import ActionBase
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, MembershipState, SetMembershipRequest
from app.social.mutes import CANNOT_BLOCK_SELF

log = logging.getLogger(__name__)
SELF_FOLLOW = define_rejection("Cannot follow yourself", "cannot_follow_self", 400)


class MembershipActions(ActionBase):
    def set_like(
        self,
        actor_id: str,
        post_id: str,
        desired_state: DesiredState,
        traceparent: str | None = None,
        event_id: str | None = None,
    ) -> MembershipState:
        """One Redis call if the post is cached, and no SQL. `event_id`: of a caller that tracks the event."""
        return self._set_membership(
            SetMembershipRequest(
                POST_LIKES,
                actor_id,
                post_id,
                desired_state,
                event_id or self._clock.new_id(),
                traceparent or "",
            )
        )

    def set_follow(
        self,
        actor_id: str,
        followed_user_id: str,
        desired_state: DesiredState,
        traceparent: str | None = None,
    ) -> MembershipState:
        if actor_id == followed_user_id:
            raise SELF_FOLLOW
        return self._set_membership(
            SetMembershipRequest(
                USER_FOLLOWS,
                actor_id,
                followed_user_id,
                desired_state,
                self._clock.new_id(),
                traceparent or "",
            )
        )

    def block_user(self, actor_id: str, blocked_user_id: str, traceparent: str | None = None) -> None:
        """Ends the follows in both directions, then stores the block. A repeated call completes one
        that was interrupted. Raises Rejected (404)."""
        if actor_id == blocked_user_id:
            raise CANNOT_BLOCK_SELF
        self._mutes.raise_if_user_missing(blocked_user_id)
        self._end_follows(actor_id, blocked_user_id, True, traceparent)
        self._mutes.block_user(actor_id, blocked_user_id)
        self._update_block_cache(actor_id, blocked_user_id, True)

    def unblock_user(self, actor_id: str, blocked_user_id: str, traceparent: str | None = None) -> None:
        """Ends a block; the follows stay ended. Raises Rejected (404)."""
        self._mutes.raise_if_user_missing(blocked_user_id)
        if actor_id == blocked_user_id:
            return
        self._end_follows(actor_id, blocked_user_id, False, traceparent)
        self._mutes.unblock_user(actor_id, blocked_user_id)
        self._update_block_cache(actor_id, blocked_user_id, False)

    def _end_follows(self, actor_id: str, other_id: str, is_blocked: bool, traceparent: str | None) -> None:
        """Ends the follows of two users. During a failover these writes also record that what Redis has
        about both users is out of date."""
        block_cache = self._memberships.cache_loader.block_cache
        for follower_id, followed_id in ((actor_id, other_id), (other_id, actor_id)):
            request = SetMembershipRequest(
                USER_FOLLOWS,
                follower_id,
                followed_id,
                DesiredState.OFF,
                self._clock.new_id(),
                traceparent or "",
            )
            self._set_membership(
                request, lambda: block_cache.apply_before_transaction(actor_id, other_id, is_blocked)
            )

    def _update_block_cache(self, actor_id: str, other_id: str, is_blocked: bool) -> None:
        try:
            self._memberships.cache_loader.block_cache.apply_after_transaction(actor_id, other_id, is_blocked)
        except Unavailable as exc:
            log.warning(
                "The cached blocks of two users stay out of date until they expire: %s",
                exc,
                extra={"event": "block_cache_not_updated"},
            )

    def _set_membership(
        self, request: SetMembershipRequest, before_write: Callable[[], object] = lambda: None
    ) -> MembershipState:
        def set_in_redis() -> MembershipState:
            before_write()
            return self._memberships.set_membership(request)

        state = self._failover.run_with_fallback(
            set_in_redis,
            lambda: self._failover.set_membership(request),
            is_idempotent=request.desired_state is not DesiredState.TOGGLE,
        )
        hit_failpoint("web.accepted")
        return state
