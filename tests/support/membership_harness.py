"""Requests for likes and follows, as app/ingest/membership_actions.py makes them."""

from app.bootstrap import new_id
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, MembershipState, MembershipStore, SetMembershipRequest


def set_like(
    memberships: MembershipStore,
    actor_id: str,
    post_id: str,
    desired_state: DesiredState = DesiredState.ON,
    event_id: str = "",
    traceparent: str = "",
) -> MembershipState:
    return memberships.set_membership(
        SetMembershipRequest(POST_LIKES, actor_id, post_id, desired_state, event_id or new_id(), traceparent)
    )


def set_follow(
    memberships: MembershipStore,
    actor_id: str,
    followed_user_id: str,
    desired_state: DesiredState = DesiredState.ON,
) -> MembershipState:
    return memberships.set_membership(
        SetMembershipRequest(USER_FOLLOWS, actor_id, followed_user_id, desired_state, new_id(), "")
    )
