"""Bookmarks.

In    PUT, DELETE, POST (toggle) /api/bookmarks/:id; GET /api/bookmarks, /api/bookmarks/check
Out   stores/bookmarks.py, stores/posts.py
"""

from datetime import datetime

from flask import Blueprint, request

from app.domain.errors import Rejected
from app.stores.bookmarks import Bookmark, Bookmarks
from app.stores.posts import Posts
from blueprints import parts
from blueprints.identity import person, uuid_of
from blueprints.paging import next_cursor, paging
from blueprints.views import Json
from blueprints.views import posts as views

blueprint = Blueprint("bookmarks", __name__, url_prefix="/api/bookmarks")
MOST_CHECKED = 200


@blueprint.post("/<post_id>")
def toggle(post_id: str) -> Json:
    return _put(post_id, None)


@blueprint.put("/<post_id>")
def keep(post_id: str) -> Json:
    return _put(post_id, True)


@blueprint.delete("/<post_id>")
def let_go(post_id: str) -> Json:
    return _put(post_id, False)


def _put(post_id: str, on: bool | None) -> Json:
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
    """The posts with the time each was kept; one that just went is left out."""
    posts = Posts(parts().engine).some([one.post_id for one in found])
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
