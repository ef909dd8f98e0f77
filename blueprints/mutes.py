"""Mutes and blocks.

In    PUT, DELETE /api/mutes/users/:id, /api/mutes/posts/:id, /api/blocks/:id; the two lists
Out   app/actions.py (blocks), stores/mutes.py
"""

from datetime import datetime

from flask import Blueprint

from app.stores.ledger import Hand
from app.stores.mutes import Block, Mute, Mutes
from app.stores.posts import Posts
from app.wiring import new_id
from blueprints import actions, parts
from blueprints.identity import person, traceparent, uuid_of
from blueprints.paging import next_cursor, paging
from blueprints.views import Json, mini
from blueprints.views import posts as views

blueprint = Blueprint("mutes", __name__, url_prefix="/api")


def mutes() -> Mutes:
    return Mutes(parts().engine, Hand(parts().clock, new_id))


@blueprint.put("/mutes/users/<user_id>")
def mute_person(user_id: str) -> Json:
    mutes().person(person(), uuid_of(user_id), True)
    return {"success": True, "muted": True}


@blueprint.delete("/mutes/users/<user_id>")
def unmute_person(user_id: str) -> Json:
    mutes().person(person(), uuid_of(user_id), False)
    return {"success": True, "muted": False}


@blueprint.put("/mutes/posts/<post_id>")
def mute_post(post_id: str) -> Json:
    mutes().post(person(), uuid_of(post_id), True)
    return {"success": True, "muted": True}


@blueprint.delete("/mutes/posts/<post_id>")
def unmute_post(post_id: str) -> Json:
    mutes().post(person(), uuid_of(post_id), False)
    return {"success": True, "muted": False}


@blueprint.put("/blocks/<user_id>")
def block(user_id: str) -> Json:
    actions().block(person(), uuid_of(user_id), traceparent())
    return {"success": True, "blocked": True}


@blueprint.delete("/blocks/<user_id>")
def unblock(user_id: str) -> Json:
    actions().unblock(person(), uuid_of(user_id), traceparent())
    return {"success": True, "blocked": False}


@blueprint.get("/mutes")
def muted() -> Json:
    """People and posts share one order and one cursor; each goes to its own list."""
    asking, part = person(), paging(50, 100)
    found = mutes().muted(asking, part.slice)
    here = found[: part.limit]
    muted_posts = [one.post_id for one in here if one.post_id]
    posts = Posts(parts().engine).some(muted_posts, asking)
    return {
        "success": True,
        "users": [mini(one.person) for one in here if one.person],
        "posts": views(posts, asking),
        "nextCursor": next_cursor(found, part.limit, _mute_place),
    }


def _mute_place(one: Mute) -> tuple[datetime, str]:
    return one.since, one.id


@blueprint.get("/blocks")
def blocked() -> Json:
    asking, part = person(), paging(50, 100)
    found = mutes().blocked(asking, part.slice)
    return {
        "success": True,
        "users": [mini(one.person) for one in found[: part.limit]],
        "nextCursor": next_cursor(found, part.limit, _block_place),
    }


def _block_place(one: Block) -> tuple[datetime, str]:
    return one.since, one.person.id
