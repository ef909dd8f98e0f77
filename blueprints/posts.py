"""Posts: the feed, one post, a new one, and sharing.

In    GET, POST /api/posts; GET /api/posts/:id; POST /api/posts/:id/share
Out   app/actions.py; stores/posts.py
"""

from datetime import datetime

from flask import Blueprint, Response, request

from app.domain.errors import Rejected
from app.stores.blocks import Blocks
from app.stores.posts import Post, Posts
from app.stores.users import Users
from blueprints import actions, parts
from blueprints.identity import person, traceparent, uuid_of, viewer
from blueprints.once import once
from blueprints.paging import Paging, bad_cursor, next_cursor, paging
from blueprints.schemas import PostBody, body
from blueprints.views import Json, mini
from blueprints.views import posts as views

blueprint = Blueprint("posts", __name__, url_prefix="/api/posts")
MOST = 50
_POST = PostBody()


@blueprint.get("")
def feed() -> Json:
    part = paging(10, MOST)
    of = request.args.get("userId")
    user_id = uuid_of(of) if of else None
    store = Posts(parts().engine)
    asking = viewer()
    found = store.newest(user_id, part.slice, asking)
    answer: Json = {"success": True, "posts": views(found[: part.limit], asking)}
    if part.cursor is None:
        answer["pagination"] = part.totals(store.total(user_id, asking))
    answer["nextCursor"] = next_cursor(found, part.limit, place)
    return answer


def place(post: Post) -> tuple[datetime, str]:
    return post.created_at, post.id


@blueprint.get("/<post_id>")
def one(post_id: str) -> Json:
    asking = viewer()
    found = Posts(parts().engine).find(uuid_of(post_id), asking)
    return {"success": True, "post": views([found], asking)[0]}


@blueprint.post("")
def create() -> Response:
    asking = person()
    return once(asking, lambda: _create(asking))


def _create(asking: str) -> tuple[Json, int]:
    caption, image_url = said(body(_POST))
    post_id = publish(asking, caption, image_url)
    view = views([Posts(parts().engine).find(post_id)], None)[0]
    del view["isLiked"]
    return {"success": True, "post": view}, 201


def said(given: Json) -> tuple[str | None, str | None]:
    """Caption and picture; blank ones are none. Raises Rejected (400) when there is neither."""
    caption = (given.get("caption") or "").strip() or None
    image_url = given.get("imageUrl") or None
    if caption is None and image_url is None:
        raise Rejected("Caption or image required", "invalid", 400)
    return caption, image_url


def publish(user_id: str, caption: str | None, image_url: str | None) -> str:
    """The new post's id. Raises Rejected (401) for a token that has outlived its account."""
    Users(parts().engine).mini(user_id)
    return actions().post(user_id, caption, image_url, traceparent())


@blueprint.delete("/<post_id>")
def delete(post_id: str) -> Json:
    asking, wanted = person(), uuid_of(post_id)
    parts().removals.post(asking, wanted)
    return {"success": True, "message": "Post deleted"}


@blueprint.get("/<post_id>/likes")
def likes(post_id: str) -> Json:
    post, part, asking = uuid_of(post_id), paging(20, 100), viewer()
    Posts(parts().engine).find(post, asking)
    people, following = liking(post, part, asking)
    return {"success": True, "users": people, "nextCursor": following}


def liking(post: str, part: Paging, viewer_id: str | None) -> tuple[list[Json], str | None]:
    """Who likes it, by id: an order in which a like that arrives meanwhile shifts nothing. Whom a
    block hides from the viewer is left out, so a part may be shorter than its limit."""
    after = _after(part)
    everybody = parts().memberships.likers(post)
    if everybody is None:
        own = (viewer_id, _likes(viewer_id, post)) if viewer_id else None
        ids = Posts(parts().engine).likers(post, part.limit + 1, after, own)
    else:
        ids = [one for one in everybody if after is None or one < after][: part.limit + 1]
    people = Users(parts().engine).minis(ids[: part.limit])
    hidden = Blocks(parts().engine).among(viewer_id, people)
    shown = [mini(people[one]) for one in ids[: part.limit] if one in people.keys() - hidden]
    return shown, next_cursor(ids, part.limit, lambda one: (one,))


def _likes(viewer_id: str, post: str) -> bool:
    return parts().memberships.likes_of(viewer_id, [post])[post][1]


def _after(part: Paging) -> str | None:
    if part.cursor is None:
        return None
    if len(part.cursor) != 1:
        raise bad_cursor()
    return uuid_of(str(part.cursor[0]))


@blueprint.post("/<post_id>/share")
def share(post_id: str) -> Json:
    asking = person()
    actions().share(asking, uuid_of(post_id), traceparent())
    return {"success": True, "shared": True}
