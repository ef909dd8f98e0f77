"""Comments and replies, nested to any depth: GET, POST /api/comments; POST /api/comments/:id/reply;
DELETE /api/comments/:id.
"""

from collections.abc import Sequence

from flask import Response, current_app
from marshmallow import fields, validate

from app.domain.errors import Rejected
from app.ingest.comments import Comment, Comments
from app.persistence.blocks import Blocks
from app.persistence.pages import PageRequest, cut_page
from app.social.posts import NOT_FOUND
from app.social.users import Users, UserSummary
from app.trace_context import get_or_create_traceparent
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.idempotency import IdempotentRequests
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import PageQuery, encode_cursor
from blueprints.http.query_fields import IdParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import (
    MessageResponse,
    ObjectSchema,
    PageResponse,
    ResponseSchema,
    UserSummarySchema,
)
from blueprints.http.schemas import RequestSchema, TextField
from blueprints.http.serializers import JsonObject, comment_json
from blueprints.http.write_actions import WriteActions

MAX_COMMENT_LENGTH = 1_000


class ReplyBody(RequestSchema):
    required_message = "Content required"
    content = TextField(required=True, validate=validate.Length(max=MAX_COMMENT_LENGTH))


class CommentBody(ReplyBody):
    required_message = "PostId and content required"
    postId = fields.UUID(required=True)


class CommentsQuery(PageQuery):
    required_message = "PostId required"
    cursor_parsers = (parse_uuid,)
    postId = IdParam(required=True)


class CommentSchema(ObjectSchema):
    id = fields.UUID()
    postId = fields.UUID()
    userId = fields.UUID()
    content = fields.String()
    gifUrl = fields.String(allow_none=True, metadata={"description": "always null"})
    parentId = fields.UUID(allow_none=True)
    createdAt = fields.DateTime()
    updatedAt = fields.DateTime()
    user = fields.Nested(UserSummarySchema)


class CommentTreeSchema(CommentSchema):
    replies = fields.List(fields.Nested(lambda: CommentTreeSchema()))


class CommentResponse(ResponseSchema):
    comment = fields.Nested(CommentSchema)


class CommentsResponse(PageResponse):
    comments = fields.List(fields.Nested(CommentTreeSchema))


def require_content(content: str, required_message: str) -> str:
    stripped = content.strip()
    if not stripped:
        raise Rejected(required_message, "invalid", 400)
    return stripped


CommentTree = tuple[list[Comment], dict[str, list[Comment]], dict[str, UserSummary]]


class CommentTrees:
    def __init__(self, comment_store: Comments, block_store: Blocks, user_store: Users) -> None:
        self._comment_store = comment_store
        self._block_store = block_store
        self._user_store = user_store

    def load(self, post_id: str, viewer_id: str | None) -> CommentTree:
        """Top-level comments, newest first; replies by parent id, oldest first; authors by id.

        Comments of users whom a block hides from the viewer are left out. Replies to them, and
        replies whose parent is deleted, are shown at the top level.
        """
        comments = self._comment_store.list_by_post(post_id)
        author_ids = {comment.user_id for comment in comments}
        hidden_ids = self._block_store.filter_hidden_user_ids(viewer_id, author_ids)
        author_by_id = self._user_store.get_summaries(sorted(author_ids - hidden_ids))
        # Sorted by id (time-ordered), which does not change when a pending comment is written.
        visible_comments = sorted(
            (comment for comment in comments if comment.user_id in author_by_id),
            key=lambda comment: comment.id,
        )
        comment_ids = {comment.id for comment in visible_comments}
        top_level: list[Comment] = []
        replies_by_parent: dict[str, list[Comment]] = {}
        for comment in visible_comments:
            if comment.parent_id in comment_ids and comment.parent_id != comment.id:
                replies_by_parent.setdefault(str(comment.parent_id), []).append(comment)
            else:
                top_level.append(comment)
        return top_level[::-1], replies_by_parent, author_by_id


def encode_comment_tree(
    top_level: Sequence[Comment],
    replies_by_parent: dict[str, list[Comment]],
    author_by_id: dict[str, UserSummary],
) -> list[bytes]:
    """The JSON of comments with nested replies. Not recursive, because reply chains may be deeper than
    the stack allows."""
    chunks: list[bytes] = []
    stack: list[Comment | bytes] = list(reversed(_with_commas(top_level)))
    while stack:
        item = stack.pop()
        if isinstance(item, bytes):
            chunks.append(item)
            continue
        encoded_comment = current_app.json.dumps(comment_json(item, author_by_id[item.user_id])).encode()
        chunks.append(encoded_comment[:-1] + b',"replies":[')
        stack.append(b"]}")
        stack.extend(reversed(_with_commas(replies_by_parent.get(item.id, []))))
    return chunks


def _with_commas(comments: Sequence[Comment]) -> list[Comment | bytes]:
    with_commas: list[Comment | bytes] = []
    for comment in comments:
        with_commas += [b",", comment] if with_commas else [comment]
    return with_commas


def blueprint(
    request_auth: RequestAuth,
    write_actions: WriteActions,
    idempotent_requests: IdempotentRequests,
    user_store: Users,
    block_store: Blocks,
    comment_trees: CommentTrees,
) -> ApiBlueprint:
    routes = ApiBlueprint("comments", __name__, url_prefix="/api/comments")

    @routes.post("")
    @requires(Authority.USER, request_auth.current_user_id)
    @idempotent_requests.route
    @routes.arguments(CommentBody)
    @routes.returns(CommentResponse, 201, errors=(404,))
    def create_comment(
        actor_id: str, request_actions: WriteActions, body: JsonObject
    ) -> tuple[JsonObject, int]:
        """Comment on a post."""
        author = user_store.get_summary_of_token_user(actor_id)
        content = require_content(body["content"], "PostId and content required")
        comment = request_actions.checked().create_comment(
            actor_id, str(body["postId"]), content, get_or_create_traceparent()
        )
        return {"success": True, "comment": comment_json(comment, author)}, 201

    @routes.post("/<comment_id>/reply")
    @requires(Authority.USER, request_auth.current_user_id)
    @idempotent_requests.route
    @routes.arguments(ReplyBody)
    @routes.returns(CommentResponse, 201, errors=(404,))
    def create_reply(
        actor_id: str, request_actions: WriteActions, body: JsonObject, comment_id: str
    ) -> tuple[JsonObject, int]:
        """Reply to a comment."""
        parent_id = parse_uuid(comment_id)
        author = user_store.get_summary_of_token_user(actor_id)
        content = require_content(body["content"], "Content required")
        comment = request_actions.checked().create_reply(
            actor_id, parent_id, content, get_or_create_traceparent()
        )
        return {"success": True, "comment": comment_json(comment, author)}, 201

    @routes.delete("/<comment_id>")
    @requires(Authority.OWNER, request_auth.current_user_id)
    @routes.returns(MessageResponse, errors=(404,))
    def delete_comment(actor_id: str, comment_id: str) -> JsonObject:
        """Delete a comment."""
        write_actions.checked().delete_comment(actor_id, parse_uuid(comment_id), get_or_create_traceparent())
        return {"success": True, "message": "Comment deleted"}

    @routes.get("")
    @routes.arguments(CommentsQuery, location="query")
    @routes.returns(CommentsResponse, errors=(404,))
    def list_comments(query: JsonObject) -> Response:
        """The comments of a post, newest first, with nested replies, oldest first."""
        page: PageRequest = query["page"]
        viewer_id, post_id = request_auth.optional_user_id(), query["postId"]
        if block_store.is_post_hidden(viewer_id, post_id):
            raise NOT_FOUND
        top_level, replies_by_parent, author_by_id = comment_trees.load(post_id, viewer_id)
        if page.after_key is not None:
            # Ids are time-ordered, so this works also when the last comment of the page before is deleted.
            top_level = [comment for comment in top_level if (comment.id,) < page.after_key]
        comments = cut_page(top_level, page.limit, lambda comment: (comment.id,))
        chunks = [b'{"success":true,"comments":[']
        chunks += encode_comment_tree(comments.items, replies_by_parent, author_by_id)
        next_cursor = current_app.json.dumps(encode_cursor(comments.next_key))
        chunks.append(b'],"nextCursor":' + next_cursor.encode() + b"}")
        return Response(b"".join(chunks), content_type="application/json")

    return routes
