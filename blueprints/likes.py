"""Likes: the hot path. One dictionary look-up for the token, one call to Redis, no SQL.

In    PUT, DELETE and POST (toggle) /api/posts/:id/like
Out   app/actions.py: like
"""

from flask import Blueprint

from app.actions import Wish
from blueprints import actions
from blueprints.identity import person, traceparent, uuid_of
from blueprints.views import Json

blueprint = Blueprint("likes", __name__, url_prefix="/api/posts")


@blueprint.put("/<post_id>/like")
def like(post_id: str) -> Json:
    return _wish(post_id, Wish.ON)


@blueprint.delete("/<post_id>/like")
def unlike(post_id: str) -> Json:
    return _wish(post_id, Wish.OFF)


@blueprint.post("/<post_id>/like")
def toggle(post_id: str) -> Json:
    return _wish(post_id, Wish.TOGGLE)


def _wish(post_id: str, wish: Wish) -> Json:
    asking = person()
    standing = actions().like(asking, uuid_of(post_id), wish, traceparent())
    return {"success": True, "liked": standing.active, "likesCount": standing.count}
