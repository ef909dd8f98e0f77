"""Bookmarks: PUT, DELETE, POST (toggle) /api/bookmarks/:id; GET /api/bookmarks and /api/bookmarks/check."""

from marshmallow import fields

from app.ingest.actions import DesiredState
from app.persistence.pages import PageRequest
from app.social.bookmarks import Bookmark, Bookmarks
from app.social.posts import PostReader
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import PageQuery, encode_cursor
from blueprints.http.query_fields import IdsParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import PageResponse, PostSchema, ResponseSchema
from blueprints.http.schemas import RequestSchema
from blueprints.http.serializers import JsonObject, PostSerializer
from blueprints.http.toggle_methods import desired_state_from_method

MAX_CHECKED_POSTS = 200


class CheckQuery(RequestSchema):
    postIds = IdsParam(MAX_CHECKED_POSTS, load_default=())


class BookmarkResponse(ResponseSchema):
    bookmarked = fields.Boolean()


class BookmarkedPostSchema(PostSchema):
    bookmarkedAt = fields.DateTime()


class BookmarksResponse(PageResponse):
    bookmarks = fields.List(fields.Nested(BookmarkedPostSchema))


class BookmarkedIdsResponse(ResponseSchema):
    bookmarkedPostIds = fields.List(fields.UUID())


def bookmarked_posts_json(
    post_store: PostReader, post_serializer: PostSerializer, bookmarks: list[Bookmark], viewer_id: str
) -> list[JsonObject]:
    """The posts with `bookmarkedAt`. Posts that are deleted or hidden by a block are left out."""
    posts = post_store.get_by_ids([bookmark.post_id for bookmark in bookmarks], viewer_id)
    post_by_id = {post["id"]: post for post in post_serializer.posts_json(posts, viewer_id)}
    return [
        post_by_id[bookmark.post_id] | {"bookmarkedAt": bookmark.bookmarked_at}
        for bookmark in bookmarks
        if bookmark.post_id in post_by_id
    ]


def blueprint(
    request_auth: RequestAuth,
    bookmark_store: Bookmarks,
    post_store: PostReader,
    post_serializer: PostSerializer,
) -> ApiBlueprint:
    routes = ApiBlueprint("bookmarks", __name__, url_prefix="/api/bookmarks")

    @routes.toggle("/<post_id>")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(BookmarkResponse, errors=(404,))
    def set_bookmark(user_id: str, post_id: str) -> JsonObject:
        """Bookmark a post, or remove the bookmark."""
        active = {DesiredState.ON: True, DesiredState.OFF: False}.get(desired_state_from_method())
        is_bookmarked = bookmark_store.set_or_toggle_bookmark(user_id, parse_uuid(post_id), active)
        return {"success": True, "bookmarked": is_bookmarked}

    @routes.get("")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(PageQuery, location="query")
    @routes.returns(BookmarksResponse)
    def list_bookmarks(viewer_id: str, query: JsonObject) -> JsonObject:
        """Bookmarked posts, newest bookmark first."""
        page: PageRequest = query["page"]
        bookmarks = bookmark_store.list_newest(viewer_id, page)
        return {
            "success": True,
            "bookmarks": bookmarked_posts_json(post_store, post_serializer, bookmarks.items, viewer_id),
            "nextCursor": encode_cursor(bookmarks.next_key),
        }

    @routes.get("/check")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(CheckQuery, location="query")
    @routes.returns(BookmarkedIdsResponse)
    def check_bookmarks(viewer_id: str, query: JsonObject) -> JsonObject:
        """Which of the given posts are bookmarked."""
        bookmarked_ids = bookmark_store.filter_bookmarked(viewer_id, query["postIds"])
        return {"success": True, "bookmarkedPostIds": bookmarked_ids}

    return routes
