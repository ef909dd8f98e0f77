"""Follows and post alerts: PUT, DELETE, POST (toggle) /api/follows/:id and /api/follows/:id/bell; GET of
both lists.
"""

from marshmallow import fields

from app.domain.errors import define_rejection
from app.ingest.actions import DesiredState
from app.ingest.memberships import MembershipState, MembershipStore
from app.persistence.blocks import Blocks
from app.persistence.pages import Page, PageRequest
from app.social.follows import FollowDirection, FollowEntry, Follows
from app.social.users import NOT_FOUND, Users
from app.trace_context import get_or_create_traceparent
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import PageQuery, encode_cursor
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import PageResponse, ResponseSchema, UserSummarySchema
from blueprints.http.serializers import JsonObject, user_summaries_json
from blueprints.http.toggle_methods import desired_state_from_method
from blueprints.http.write_actions import WriteActions

NOT_FOLLOWING = define_rejection("Must follow user first", "must_follow_first", 400)


class FollowResponse(ResponseSchema):
    following = fields.Boolean()
    followersCount = fields.Integer()


class PostAlertsResponse(ResponseSchema):
    bellEnabled = fields.Boolean()


class FollowersResponse(PageResponse):
    followers = fields.List(fields.Nested(UserSummarySchema))


class FollowingResponse(PageResponse):
    following = fields.List(fields.Nested(UserSummarySchema))


class FollowSwitches:
    """Switches follows and post alerts, for the API and the pages."""

    def __init__(
        self,
        write_actions: WriteActions,
        memberships: MembershipStore,
        follow_store: Follows,
        user_store: Users,
        block_store: Blocks,
    ) -> None:
        self._write_actions = write_actions
        self._memberships = memberships
        self._follow_store = follow_store
        self._user_store = user_store
        self._block_store = block_store

    def set_follow(self, actor_id: str, target_id: str, desired_state: DesiredState) -> MembershipState:
        membership = self._write_actions.checked().set_follow(
            actor_id, target_id, desired_state, get_or_create_traceparent()
        )
        if not membership.active:
            # Post alerts need a follow. If this fails, repeating the request repeats it.
            self._follow_store.set_bell_subscription(actor_id, target_id, False)
        return membership

    def set_post_alerts(self, actor_id: str, target_id: str, desired_state: DesiredState) -> bool:
        """Whether they are on now. Raises Rejected (400, 404)."""
        if not self._user_store.exists(target_id):
            raise NOT_FOUND
        self._block_store.raise_if_blocked(actor_id, target_id, NOT_FOUND)
        follow_states = self._memberships.get_follower_counts_and_states(actor_id, [target_id])
        if desired_state is not DesiredState.OFF and not follow_states[target_id][1]:
            raise NOT_FOLLOWING
        is_enabled = target_id in self._follow_store.list_bell_targets_among(actor_id, [target_id])
        enable = not is_enabled if desired_state is DesiredState.TOGGLE else desired_state is DesiredState.ON
        if enable != is_enabled:
            self._follow_store.set_bell_subscription(actor_id, target_id, enable)
        return enable


def load_follows(
    memberships: MembershipStore,
    follow_store: Follows,
    direction: FollowDirection,
    user_id: str,
    page: PageRequest,
    viewer_id: str | None,
) -> Page[FollowEntry]:
    """Includes follows that are accepted but not written yet; they are read before the rows, so that none is
    missed."""
    pending_memberships = memberships.pending_follows
    unwritten_follows = (
        pending_memberships.get_pending_following(user_id)
        if direction == "following"
        else pending_memberships.get_pending_follow_of_viewer(user_id, viewer_id)
    )
    return follow_store.list_followers_or_following(direction, user_id, page, viewer_id, unwritten_follows)


def blueprint(
    request_auth: RequestAuth,
    follow_switches: FollowSwitches,
    memberships: MembershipStore,
    follow_store: Follows,
    block_store: Blocks,
) -> ApiBlueprint:
    routes = ApiBlueprint("follows", __name__, url_prefix="/api/follows")

    @routes.toggle("/<user_id>")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(FollowResponse, errors=(404,))
    def set_follow(actor_id: str, user_id: str) -> JsonObject:
        """Follow a user, or stop following. That ends post alerts too."""
        membership = follow_switches.set_follow(actor_id, parse_uuid(user_id), desired_state_from_method())
        return {"success": True, "following": membership.active, "followersCount": membership.count}

    @routes.get("/<user_id>/followers")
    @routes.arguments(PageQuery, location="query")
    @routes.returns(FollowersResponse, errors=(404,))
    def list_followers(query: JsonObject, user_id: str) -> JsonObject:
        """Followers, newest first."""
        return _list_follows("followers", user_id, query["page"])

    @routes.get("/<user_id>/following")
    @routes.arguments(PageQuery, location="query")
    @routes.returns(FollowingResponse, errors=(404,))
    def list_following(query: JsonObject, user_id: str) -> JsonObject:
        """Users whom the user follows, newest first."""
        return _list_follows("following", user_id, query["page"])

    def _list_follows(direction: FollowDirection, user_id: str, page: PageRequest) -> JsonObject:
        target_id, viewer_id = parse_uuid(user_id), request_auth.optional_user_id()
        block_store.raise_if_blocked(viewer_id, target_id, NOT_FOUND)
        follows = load_follows(memberships, follow_store, direction, target_id, page, viewer_id)
        return {
            "success": True,
            direction: user_summaries_json(follow.user for follow in follows.items),
            "nextCursor": encode_cursor(follows.next_key),
        }

    @routes.toggle("/<user_id>/bell")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(PostAlertsResponse, errors=(404,))
    def set_post_alerts(actor_id: str, user_id: str) -> JsonObject:
        """Switch alerts about new posts of a followed user on or off."""
        desired_state = desired_state_from_method()
        is_enabled = follow_switches.set_post_alerts(actor_id, parse_uuid(user_id), desired_state)
        return {"success": True, "bellEnabled": is_enabled}

    return routes
