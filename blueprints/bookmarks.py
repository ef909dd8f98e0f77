"""Bookmarks.

In    PUT, DELETE, POST (toggle) /api/bookmarks/:id; GET /api/bookmarks, /api/bookmarks/check
Out   stores/bookmarks.py, stores/posts.py
"""

from datetime import datetime

from flask import Blueprint, request

from app.actions import Wish
from app.domain.errors import Rejected
from app.stores.bookmarks import Bookmark, Bookmarks
from app.stores.posts import Posts
from blueprints import parts
from blueprints.identity import person, uuid_of
from blueprints.paging import next_cursor, paging
from blueprints.verbs import VERBS, wish
from blueprints.views import Json
from blueprints.views import posts as views

blueprint = Blueprint("bookmarks", __name__, url_prefix="/api/bookmarks")
MOST_CHECKED = 200


@blueprint.route("/<post_id>", methods=VERBS)
def bookmark(post_id: str) -> Json:
    on = {Wish.ON: True, Wish.OFF: False}.get(wish())
    stands = Bookmarks(parts().engine).put(person(), uuid_of(post_id), on)
    return {"success": True, "bookmarked": stands}


@blueprint.get("")
def newest() -> Json:
    asking, part = person(), paging(50, 100)
    found = Bookmarks(parts().engine).newest(asking, part.slice)
    return {
        "success": True,
        "bookmarks": shown(found[: part.limit], asking),
        "nextCursor": next_cursor(found, part.limit, place),
    }


def shown(found: list[Bookmark], viewer_id: str) -> list[Json]:
    """The posts with the time each was kept; one that just went or is hidden by a block is left
    out."""
    posts = Posts(parts().engine).some([one.post_id for one in found], viewer_id)
    seen = {view["id"]: view for view in views(posts, viewer_id)}
    return [seen[one.post_id] | {"bookmarkedAt": one.since} for one in found if one.post_id in seen]


def place(one: Bookmark) -> tuple[datetime, str]:
    return one.since, one.post_id


@blueprint.get("/check")
def check() -> Json:
    asking = person()
    ids = [uuid_of(one) for one in request.args.get("postIds", "").split(",") if one]
    if len(ids) > MOST_CHECKED:
        raise Rejected(f"postIds may name at most {MOST_CHECKED} posts", "out_of_range", 400)
    kept = Bookmarks(parts().engine).among(asking, ids)
    return {"success": True, "bookmarkedPostIds": kept}
