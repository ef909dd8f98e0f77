"""Likes: PUT, DELETE and POST (toggle) /api/posts/:id/like.

The hot path: one dictionary look-up for the token, one Redis call, no SQL.
"""

from flask import Blueprint

from app.trace_context import get_or_create_traceparent
from blueprints.http.ids import parse_uuid
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject
from blueprints.http.toggle_methods import TOGGLE_METHODS, desired_state_from_method
from blueprints.http.write_actions import WriteActions


def blueprint(request_auth: RequestAuth, write_actions: WriteActions) -> Blueprint:
    routes = Blueprint("likes", __name__, url_prefix="/api/posts")

    @routes.route("/<post_id>/like", methods=TOGGLE_METHODS)
    def set_like(post_id: str) -> JsonObject:
        membership = write_actions.checked().set_like(
            request_auth.current_user_id(),
            parse_uuid(post_id),
            desired_state_from_method(),
            get_or_create_traceparent(),
        )
        return {"success": True, "liked": membership.active, "likesCount": membership.count}

    return routes
