"""Mutes and blocks: PUT, DELETE /api/mutes/users/:id, /api/mutes/posts/:id and /api/blocks/:id; GET
/api/mutes and /api/blocks.
"""

from marshmallow import fields

from app.ingest.actions import DesiredState
from app.persistence.pages import PageRequest
from app.social.mutes import MutesAndBlocks
from app.social.posts import PostReader
from app.trace_context import get_or_create_traceparent
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import PageQuery, encode_cursor
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import PostSchema, ResponseSchema, UsersResponse
from blueprints.http.serializers import JsonObject, PostSerializer, user_summaries_json
from blueprints.http.toggle_methods import desired_state_from_method
from blueprints.http.write_actions import WriteActions


class MuteResponse(ResponseSchema):
    muted = fields.Boolean()


class BlockResponse(ResponseSchema):
    blocked = fields.Boolean()


class MutesResponse(UsersResponse):
    posts = fields.List(fields.Nested(PostSchema))


def blueprint(
    request_auth: RequestAuth,
    write_actions: WriteActions,
    mute_store: MutesAndBlocks,
    post_store: PostReader,
    post_serializer: PostSerializer,
) -> ApiBlueprint:
    routes = ApiBlueprint("mutes", __name__, url_prefix="/api")

    @routes.switch("/mutes/users/<user_id>")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(MuteResponse, errors=(404,))
    def set_user_mute(actor_id: str, user_id: str) -> JsonObject:
        """Silence future notifications caused by a user, or end that."""
        muted = desired_state_from_method() is DesiredState.ON
        mute_store.set_user_mute(actor_id, parse_uuid(user_id), muted)
        return {"success": True, "muted": muted}

    @routes.switch("/mutes/posts/<post_id>")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(MuteResponse, errors=(404,))
    def set_post_mute(actor_id: str, post_id: str) -> JsonObject:
        """Silence future notifications about a post, or end that."""
        muted = desired_state_from_method() is DesiredState.ON
        mute_store.set_post_mute(actor_id, parse_uuid(post_id), muted)
        return {"success": True, "muted": muted}

    @routes.switch("/blocks/<user_id>")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(BlockResponse, errors=(404,))
    def set_block(actor_id: str, user_id: str) -> JsonObject:
        """Block a user, or end the block.

        A block ends both follows and hides each side from the other. Its end restores nothing by itself.
        """
        blocked, actions = desired_state_from_method() is DesiredState.ON, write_actions.checked()
        change = actions.block_user if blocked else actions.unblock_user
        change(actor_id, parse_uuid(user_id), get_or_create_traceparent())
        return {"success": True, "blocked": blocked}

    @routes.get("/mutes")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(PageQuery, location="query")
    @routes.returns(MutesResponse)
    def list_mutes(viewer_id: str, query: JsonObject) -> JsonObject:
        """Muted users and posts, newest mute first.

        Users and posts share one order and one cursor, and are returned in two lists.
        """
        page: PageRequest = query["page"]
        muted = mute_store.list_muted(viewer_id, page)
        posts = post_store.get_by_ids([mute.post_id for mute in muted.items if mute.post_id], viewer_id)
        return {
            "success": True,
            "users": user_summaries_json(mute.user for mute in muted.items if mute.user),
            "posts": post_serializer.posts_json(posts, viewer_id),
            "nextCursor": encode_cursor(muted.next_key),
        }

    @routes.get("/blocks")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(PageQuery, location="query")
    @routes.returns(UsersResponse)
    def list_blocks(viewer_id: str, query: JsonObject) -> JsonObject:
        """Blocked users, newest block first."""
        page: PageRequest = query["page"]
        blocked = mute_store.list_blocked(viewer_id, page)
        return {
            "success": True,
            "users": user_summaries_json(blocked.items),
            "nextCursor": encode_cursor(blocked.next_key),
        }

    return routes
