"""Bookmarks: PUT, DELETE, POST (toggle) /api/bookmarks/:id; GET /api/bookmarks and /api/bookmarks/check."""

from datetime import datetime

from flask import Blueprint, request

from app.domain.errors import Rejected
from app.ingest.actions import DesiredState
from app.social.bookmarks import Bookmark, Bookmarks
from app.social.posts import Posts
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import next_cursor, parse_page_params
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject, PostSerializer
from blueprints.http.toggle_methods import TOGGLE_METHODS, desired_state_from_method

MAX_CHECKED_POSTS = 200


def bookmarked_posts_json(
    post_store: Posts, post_serializer: PostSerializer, bookmarks: list[Bookmark], viewer_id: str
) -> list[JsonObject]:
    """The posts with `bookmarkedAt`. Posts that are deleted or hidden by a block are left out."""
    posts = post_store.get_by_ids([bookmark.post_id for bookmark in bookmarks], viewer_id)
    post_by_id = {post["id"]: post for post in post_serializer.posts_json(posts, viewer_id)}
    return [
        post_by_id[bookmark.post_id] | {"bookmarkedAt": bookmark.bookmarked_at}
        for bookmark in bookmarks
        if bookmark.post_id in post_by_id
    ]


def bookmark_cursor_key(bookmark: Bookmark) -> tuple[datetime, str]:
    return bookmark.bookmarked_at, bookmark.post_id


def blueprint(
    request_auth: RequestAuth, bookmark_store: Bookmarks, post_store: Posts, post_serializer: PostSerializer
) -> Blueprint:
    routes = Blueprint("bookmarks", __name__, url_prefix="/api/bookmarks")

    @routes.route("/<post_id>", methods=TOGGLE_METHODS)
    def set_bookmark(post_id: str) -> JsonObject:
        active = {DesiredState.ON: True, DesiredState.OFF: False}.get(desired_state_from_method())
        is_bookmarked = bookmark_store.set_or_toggle_bookmark(
            request_auth.current_user_id(), parse_uuid(post_id), active
        )
        return {"success": True, "bookmarked": is_bookmarked}

    @routes.get("")
    def list_bookmarks() -> JsonObject:
        viewer_id, page_params = request_auth.current_user_id(), parse_page_params(50, 100)
        bookmarks = bookmark_store.list_newest(viewer_id, page_params.page_request)
        return {
            "success": True,
            "bookmarks": bookmarked_posts_json(
                post_store, post_serializer, bookmarks[: page_params.limit], viewer_id
            ),
            "nextCursor": next_cursor(bookmarks, page_params.limit, bookmark_cursor_key),
        }

    @routes.get("/check")
    def check_bookmarks() -> JsonObject:
        viewer_id = request_auth.current_user_id()
        post_ids = [parse_uuid(raw_id) for raw_id in request.args.get("postIds", "").split(",") if raw_id]
        if len(post_ids) > MAX_CHECKED_POSTS:
            raise Rejected(f"postIds may name at most {MAX_CHECKED_POSTS} posts", "out_of_range", 400)
        bookmarked_ids = bookmark_store.filter_bookmarked(viewer_id, post_ids)
        return {"success": True, "bookmarkedPostIds": bookmarked_ids}

    return routes
