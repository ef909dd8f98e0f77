"""Likes: PUT, DELETE and POST (toggle) /api/posts/:id/like.

The hot path: one dictionary look-up for the token, one Redis call, no SQL.
"""

from flask import Response, jsonify
from marshmallow import fields

from app.trace_context import get_or_create_traceparent
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.ids import parse_uuid
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ResponseSchema
from blueprints.http.toggle_methods import desired_state_from_method
from blueprints.http.write_actions import WriteActions

EVENT_ID_HEADER = "X-Event-Id"
"""The event of a write, if there is one; its page is /events/:id."""


class LikeResponse(ResponseSchema):
    liked = fields.Boolean()
    likesCount = fields.Integer()


def blueprint(request_auth: RequestAuth, write_actions: WriteActions) -> ApiBlueprint:
    routes = ApiBlueprint("likes", __name__, url_prefix="/api/posts")

    @routes.toggle("/<post_id>/like")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(LikeResponse, errors=(404,), headers={EVENT_ID_HEADER: "the event, at /events/:id"})
    def set_like(actor_id: str, post_id: str) -> Response:
        """Like a post, or withdraw the like."""
        event_id = write_actions.new_id()
        membership = write_actions.checked().set_like(
            actor_id, parse_uuid(post_id), desired_state_from_method(), get_or_create_traceparent(), event_id
        )
        response = jsonify(success=True, liked=membership.active, likesCount=membership.count)
        if membership.is_published:
            response.headers.add(EVENT_ID_HEADER, event_id)
        return response

    return routes
