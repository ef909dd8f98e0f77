"""Follows and post alerts: PUT, DELETE, POST (toggle) /api/follows/:id and /api/follows/:id/bell; GET of
both lists.
"""

from datetime import datetime

from flask import Blueprint

from app.domain.errors import Rejected
from app.ingest.actions import DesiredState
from app.ingest.memberships import MembershipStore
from app.persistence.blocks import Blocks
from app.social.follows import FollowDirection, FollowEntry, FollowPageRequest, Follows
from app.social.users import NOT_FOUND, Users
from app.trace_context import get_or_create_traceparent
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import PageParams, next_cursor, parse_page_params
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject, user_summaries_json
from blueprints.http.toggle_methods import TOGGLE_METHODS, desired_state_from_method
from blueprints.http.write_actions import WriteActions

NOT_FOLLOWING = Rejected("Must follow user first", "must_follow_first", 400)


def load_follows(
    memberships: MembershipStore,
    follow_store: Follows,
    direction: FollowDirection,
    user_id: str,
    page_params: PageParams,
    viewer_id: str | None,
) -> list[FollowEntry]:
    """One page and one row more, if there is one. Includes follows that are accepted but not written
    yet; they are read before the rows, so that none is missed."""
    pending_memberships = memberships.pending_follows
    unwritten_follows = (
        pending_memberships.get_pending_following(user_id)
        if direction == "following"
        else pending_memberships.get_pending_follow_of_viewer(user_id, viewer_id)
    )
    follow_page = FollowPageRequest(page_params.limit + 1, page_params.cursor_key, viewer_id)
    return follow_store.list_followers_or_following(direction, user_id, follow_page, unwritten_follows)


def follow_cursor_key(follow: FollowEntry) -> tuple[datetime, str]:
    return follow.followed_at, follow.user.id


def blueprint(
    request_auth: RequestAuth,
    write_actions: WriteActions,
    memberships: MembershipStore,
    follow_store: Follows,
    user_store: Users,
    block_store: Blocks,
) -> Blueprint:
    routes = Blueprint("follows", __name__, url_prefix="/api/follows")

    @routes.route("/<user_id>", methods=TOGGLE_METHODS)
    def set_follow(user_id: str) -> JsonObject:
        actor_id, target_id = request_auth.current_user_id(), parse_uuid(user_id)
        membership = write_actions.checked().set_follow(
            actor_id, target_id, desired_state_from_method(), get_or_create_traceparent()
        )
        if not membership.active:
            # Post alerts need a follow. If this fails, repeating the request repeats it.
            follow_store.set_bell_subscription(actor_id, target_id, False)
        return {"success": True, "following": membership.active, "followersCount": membership.count}

    @routes.get("/<user_id>/followers")
    def list_followers(user_id: str) -> JsonObject:
        return _list_follows("followers", user_id)

    @routes.get("/<user_id>/following")
    def list_following(user_id: str) -> JsonObject:
        return _list_follows("following", user_id)

    def _list_follows(direction: FollowDirection, user_id: str) -> JsonObject:
        target_id, page_params, viewer_id = (
            parse_uuid(user_id),
            parse_page_params(50, 100),
            request_auth.optional_user_id(),
        )
        block_store.raise_if_blocked(viewer_id, target_id, NOT_FOUND)
        follows = load_follows(memberships, follow_store, direction, target_id, page_params, viewer_id)
        return {
            "success": True,
            direction: user_summaries_json(follow.user for follow in follows[: page_params.limit]),
            "nextCursor": next_cursor(follows, page_params.limit, follow_cursor_key),
        }

    @routes.route("/<user_id>/bell", methods=TOGGLE_METHODS)
    def set_post_alerts(user_id: str) -> JsonObject:
        desired_state = desired_state_from_method()
        actor_id, target_id = request_auth.current_user_id(), parse_uuid(user_id)
        if not user_store.exists(target_id):
            raise NOT_FOUND
        block_store.raise_if_blocked(actor_id, target_id, NOT_FOUND)
        is_following = memberships.get_follower_counts_and_states(actor_id, [target_id])[target_id][1]
        if desired_state is not DesiredState.OFF and not is_following:
            raise NOT_FOLLOWING
        is_enabled = target_id in follow_store.filter_bell_subscribed(actor_id, [target_id])
        enable = not is_enabled if desired_state is DesiredState.TOGGLE else desired_state is DesiredState.ON
        if enable != is_enabled:
            follow_store.set_bell_subscription(actor_id, target_id, enable)
        return {"success": True, "bellEnabled": enable}

    return routes
