"""One row per like, as a storm compares it with the pipeline: PUT /api/test/row-per-like/posts/:id/like and
POST /api/test/row-per-like/comments. Testing mode only; 404 unless a storm runs.

The same requests and responses as /api/posts/:id/like and /api/comments, in the same web process, under the
same authentication: the two ways differ in what is written and when.
"""

from marshmallow import fields

from app.devtools.storm.row_per_like import RowPerLike
from blueprints.api.comments import CommentBody
from blueprints.api.likes import LikeResponse
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.ids import parse_uuid
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ResponseSchema
from blueprints.http.serializers import JsonObject


class RowPerCommentResponse(ResponseSchema):
    id = fields.UUID()


def blueprint(request_auth: RequestAuth, row_per_like: RowPerLike) -> ApiBlueprint:
    routes = ApiBlueprint("row_per_like", __name__, url_prefix="/api/test/row-per-like")

    @routes.put("/posts/<post_id>/like")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(LikeResponse, errors=(404,))
    def add_like(user_id: str, post_id: str) -> JsonObject:
        """Write a like and the counter of its post at once."""
        count = row_per_like.add_like(user_id, parse_uuid(post_id))
        return {"success": True, "liked": True, "likesCount": count}

    @routes.post("/comments")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(CommentBody)
    @routes.returns(RowPerCommentResponse, 201, errors=(404,))
    def add_comment(user_id: str, body: JsonObject) -> tuple[JsonObject, int]:
        """Write a comment and the counter of its post at once."""
        comment_id = row_per_like.add_comment(user_id, str(body["postId"]), body["content"])
        return {"success": True, "id": comment_id}, 201

    return routes
