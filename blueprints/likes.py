"""Likes: the hot path. One dictionary look-up for the token, one call to Redis, no SQL.

In    PUT, DELETE and POST (toggle) /api/posts/:id/like
Out   app/actions.py: like
"""

from flask import Blueprint

from blueprints import actions
from blueprints.identity import person, traceparent, uuid_of
from blueprints.verbs import VERBS, wish
from blueprints.views import Json

blueprint = Blueprint("likes", __name__, url_prefix="/api/posts")


@blueprint.route("/<post_id>/like", methods=VERBS)
def like(post_id: str) -> Json:
    standing = actions().like(person(), uuid_of(post_id), wish(), traceparent())
    return {"success": True, "liked": standing.active, "likesCount": standing.count}
