"""Posts: GET, POST /api/posts; GET, DELETE /api/posts/:id; GET /api/posts/:id/likes; POST
/api/posts/:id/share. Likes are in blueprints/api/likes.py.
"""

import re

from marshmallow import ValidationError, fields, validate

from app.domain.errors import Rejected
from app.ingest.memberships import MembershipStore
from app.persistence.blocks import Blocks
from app.persistence.pages import Page, PageRequest, cut_page
from app.social.posts import PostReader
from app.social.removals import PostAndAccountRemoval
from app.social.users import Users
from app.trace_context import get_or_create_traceparent
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.idempotency import IdempotentRequests
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import IntegerParam, PageQuery, encode_cursor, pagination_totals
from blueprints.http.query_fields import IdParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import (
    MessageResponse,
    NewPostSchema,
    PageResponse,
    PaginationSchema,
    PostSchema,
    ResponseSchema,
    UsersResponse,
)
from blueprints.http.schemas import (
    MAX_CAPTION_LENGTH,
    MAX_URL_LENGTH,
    RequestSchema,
    SingleLineField,
    TextField,
)
from blueprints.http.serializers import JsonObject, PostSerializer, user_summary_json
from blueprints.http.write_actions import WriteActions


def _validate_https_url(value: str) -> None:
    if value and not (value.startswith("https://") and re.fullmatch(r"\S+", value)):
        raise ValidationError("imageUrl must be an https address")


class PostBody(RequestSchema):
    caption = TextField(allow_none=True, validate=validate.Length(max=MAX_CAPTION_LENGTH))
    imageUrl = SingleLineField(
        allow_none=True, validate=[validate.Length(max=MAX_URL_LENGTH), _validate_https_url]
    )


class PostsQuery(PageQuery):
    limit = IntegerParam(10, 50)
    userId = IdParam(metadata={"description": "the author"})


class LikersQuery(PageQuery):
    cursor_parsers = (parse_uuid,)
    limit = IntegerParam(20, 100)


class PostsResponse(PageResponse):
    optional_fields = PageResponse.optional_fields | {"pagination"}
    posts = fields.List(fields.Nested(PostSchema))
    pagination = fields.Nested(PaginationSchema, metadata={"description": "without cursor"})


class PostResponse(ResponseSchema):
    post = fields.Nested(PostSchema)


class NewPostResponse(ResponseSchema):
    post = fields.Nested(NewPostSchema)


class ShareResponse(ResponseSchema):
    shared = fields.Boolean()


def parse_post_content(payload: JsonObject) -> tuple[str | None, str | None]:
    """Caption and image address, None when blank. Raises Rejected (400) when both are."""
    caption = (payload.get("caption") or "").strip() or None
    image_url = payload.get("imageUrl") or None
    if caption is None and image_url is None:
        raise Rejected("Caption or image required", "invalid", 400)
    return caption, image_url


def publish_post(
    user_store: Users, write_actions: WriteActions, author_id: str, caption: str | None, image_url: str | None
) -> str:
    """Returns the new post's id. Raises Rejected (401) when the author's account is deleted."""
    user_store.get_summary_of_token_user(author_id)
    return write_actions.checked().create_post(author_id, caption, image_url, get_or_create_traceparent())


class Likers:
    """The users who like a post."""

    def __init__(
        self, memberships: MembershipStore, post_store: PostReader, user_store: Users, block_store: Blocks
    ) -> None:
        self._memberships = memberships
        self._post_store = post_store
        self._user_store = user_store
        self._block_store = block_store

    def load(self, post_id: str, page: PageRequest, viewer_id: str | None) -> Page[JsonObject]:
        """Sorted by user id, so that new likes do not shift later pages. Users whom a block hides from
        the viewer are left out, so a page may be shorter than its limit.
        """
        liker_ids = self._list_liker_ids(post_id, page, viewer_id)
        ids = cut_page(liker_ids, page.limit, lambda liker_id: (liker_id,))
        liker_by_id = self._user_store.get_summaries(ids.items)
        hidden_ids = self._block_store.filter_hidden_user_ids(viewer_id, liker_by_id)
        visible_ids = [liker_id for liker_id in ids.items if liker_id in liker_by_id.keys() - hidden_ids]
        return ids.with_items([user_summary_json(liker_by_id[liker_id]) for liker_id in visible_ids])

    def _list_liker_ids(self, post_id: str, page: PageRequest, viewer_id: str | None) -> list[str]:
        """The ids of one page and one more: from Redis if it has them, else from PostgreSQL with the
        viewer's own like as Redis knows it."""
        (after_user_id,), limit = page.after_key or (None,), page.limit + 1
        cached_liker_ids = self._memberships.list_cached_liker_ids(post_id)
        if cached_liker_ids is not None:
            return [
                liker_id for liker_id in cached_liker_ids if after_user_id is None or liker_id < after_user_id
            ][:limit]
        viewer_like = (viewer_id, self._is_liked(viewer_id, post_id)) if viewer_id else None
        return self._post_store.list_liker_ids(post_id, limit, after_user_id, viewer_like)

    def _is_liked(self, viewer_id: str, post_id: str) -> bool:
        return self._memberships.read_post_counts(viewer_id, [post_id])[post_id].is_liked


def blueprint(
    request_auth: RequestAuth,
    write_actions: WriteActions,
    idempotent_requests: IdempotentRequests,
    post_store: PostReader,
    user_store: Users,
    likers: Likers,
    removals: PostAndAccountRemoval,
    post_serializer: PostSerializer,
) -> ApiBlueprint:
    routes = ApiBlueprint("posts", __name__, url_prefix="/api/posts")

    @routes.get("")
    @routes.arguments(PostsQuery, location="query")
    @routes.returns(PostsResponse)
    def list_posts(query: JsonObject) -> JsonObject:
        """All posts, newest first."""
        page: PageRequest = query["page"]
        author_id, viewer_id = query.get("userId"), request_auth.optional_user_id()
        posts, visible_count = post_store.list_newest_and_count(author_id, page, viewer_id)
        payload: JsonObject = {"success": True, "posts": post_serializer.posts_json(posts.items, viewer_id)}
        if visible_count is not None:
            payload["pagination"] = pagination_totals(page, visible_count)
        payload["nextCursor"] = encode_cursor(posts.next_key)
        return payload

    @routes.get("/<post_id>")
    @routes.returns(PostResponse, errors=(404,))
    def get_post(post_id: str) -> JsonObject:
        """One post."""
        viewer_id = request_auth.optional_user_id()
        post = post_store.get(parse_uuid(post_id), viewer_id)
        return {"success": True, "post": post_serializer.posts_json([post], viewer_id)[0]}

    @routes.post("")
    @requires(Authority.USER, request_auth.current_user_id)
    @idempotent_requests.route
    @routes.arguments(PostBody)
    @routes.returns(NewPostResponse, 201)
    def create_post(actor_id: str, request_actions: WriteActions, body: JsonObject) -> tuple[JsonObject, int]:
        """Publish a post, with a caption, an image or both."""
        caption, image_url = parse_post_content(body)
        post_id = publish_post(user_store, request_actions, actor_id, caption, image_url)
        post_json = post_serializer.posts_json([post_store.get(post_id)], None)[0]
        del post_json["isLiked"]
        return {"success": True, "post": post_json}, 201

    @routes.delete("/<post_id>")
    @requires(Authority.OWNER, request_auth.current_user_id)
    @routes.returns(MessageResponse, errors=(404,))
    def delete_post(actor_id: str, post_id: str) -> JsonObject:
        """Delete a post."""
        removals.delete_post(actor_id, parse_uuid(post_id))
        return {"success": True, "message": "Post deleted"}

    @routes.get("/<post_id>/likes")
    @routes.arguments(LikersQuery, location="query")
    @routes.returns(UsersResponse, errors=(404,))
    def list_likes(query: JsonObject, post_id: str) -> JsonObject:
        """The users who like a post, by id."""
        parsed_id, viewer_id = parse_uuid(post_id), request_auth.optional_user_id()
        post_store.get(parsed_id, viewer_id)
        users = likers.load(parsed_id, query["page"], viewer_id)
        return {"success": True, "users": users.items, "nextCursor": encode_cursor(users.next_key)}

    @routes.post("/<post_id>/share")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(ShareResponse, errors=(404,))
    def share_post(actor_id: str, post_id: str) -> JsonObject:
        """Share a post."""
        write_actions.checked().share_post(actor_id, parse_uuid(post_id), get_or_create_traceparent())
        return {"success": True, "shared": True}

    return routes
