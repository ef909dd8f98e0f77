"""Mutes and blocks: PUT, DELETE /api/mutes/users/:id, /api/mutes/posts/:id and /api/blocks/:id; GET
/api/mutes and /api/blocks.
"""

from datetime import datetime

from flask import Blueprint

from app.social.mutes import BlockedUser, MutedEntry, MutesAndBlocks
from app.social.posts import Posts
from app.trace_context import get_or_create_traceparent
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import next_cursor, parse_page_params
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject, PostSerializer, user_summary_json
from blueprints.http.write_actions import WriteActions


def _mute_cursor_key(mute: MutedEntry) -> tuple[datetime, str]:
    return mute.created_at, mute.id


def _block_cursor_key(block: BlockedUser) -> tuple[datetime, str]:
    return block.created_at, block.user.id


def blueprint(
    request_auth: RequestAuth,
    write_actions: WriteActions,
    mute_store: MutesAndBlocks,
    post_store: Posts,
    post_serializer: PostSerializer,
) -> Blueprint:
    routes = Blueprint("mutes", __name__, url_prefix="/api")

    @routes.put("/mutes/users/<user_id>")
    def mute_user(user_id: str) -> JsonObject:
        mute_store.set_user_mute(request_auth.current_user_id(), parse_uuid(user_id), True)
        return {"success": True, "muted": True}

    @routes.delete("/mutes/users/<user_id>")
    def unmute_user(user_id: str) -> JsonObject:
        mute_store.set_user_mute(request_auth.current_user_id(), parse_uuid(user_id), False)
        return {"success": True, "muted": False}

    @routes.put("/mutes/posts/<post_id>")
    def mute_post(post_id: str) -> JsonObject:
        mute_store.set_post_mute(request_auth.current_user_id(), parse_uuid(post_id), True)
        return {"success": True, "muted": True}

    @routes.delete("/mutes/posts/<post_id>")
    def unmute_post(post_id: str) -> JsonObject:
        mute_store.set_post_mute(request_auth.current_user_id(), parse_uuid(post_id), False)
        return {"success": True, "muted": False}

    @routes.put("/blocks/<user_id>")
    def block_user(user_id: str) -> JsonObject:
        write_actions.checked().block_user(
            request_auth.current_user_id(), parse_uuid(user_id), get_or_create_traceparent()
        )
        return {"success": True, "blocked": True}

    @routes.delete("/blocks/<user_id>")
    def unblock_user(user_id: str) -> JsonObject:
        write_actions.checked().unblock_user(
            request_auth.current_user_id(), parse_uuid(user_id), get_or_create_traceparent()
        )
        return {"success": True, "blocked": False}

    @routes.get("/mutes")
    def list_mutes() -> JsonObject:
        """Users and posts share one order and one cursor, and are returned in two lists."""
        viewer_id, page_params = request_auth.current_user_id(), parse_page_params(50, 100)
        mute_rows = mute_store.list_muted(viewer_id, page_params.page_request)
        page_rows = mute_rows[: page_params.limit]
        post_ids = [mute.post_id for mute in page_rows if mute.post_id]
        posts = post_store.get_by_ids(post_ids, viewer_id)
        return {
            "success": True,
            "users": [user_summary_json(mute.user) for mute in page_rows if mute.user],
            "posts": post_serializer.posts_json(posts, viewer_id),
            "nextCursor": next_cursor(mute_rows, page_params.limit, _mute_cursor_key),
        }

    @routes.get("/blocks")
    def list_blocks() -> JsonObject:
        viewer_id, page_params = request_auth.current_user_id(), parse_page_params(50, 100)
        block_rows = mute_store.list_blocked(viewer_id, page_params.page_request)
        return {
            "success": True,
            "users": [user_summary_json(block.user) for block in block_rows[: page_params.limit]],
            "nextCursor": next_cursor(block_rows, page_params.limit, _block_cursor_key),
        }

    return routes
