"""Follows and bells.

In    PUT, DELETE, POST (toggle) /api/follows/:id and /api/follows/:id/bell; the two lists
Out   app/actions.py: follow; stores/follows.py
"""

from datetime import datetime

from flask import Blueprint

from app.actions import Wish
from app.domain.errors import Rejected
from app.stores.blocks import Blocks
from app.stores.follows import Follows, Part, Side, Tie
from app.stores.users import MISSING, Users
from blueprints import actions, parts
from blueprints.identity import person, traceparent, uuid_of, viewer
from blueprints.paging import Paging, next_cursor, paging
from blueprints.verbs import VERBS, wish
from blueprints.views import Json, minis

blueprint = Blueprint("follows", __name__, url_prefix="/api/follows")
MUST_FOLLOW = Rejected("Must follow user first", "must_follow_first", 400)


@blueprint.route("/<user_id>", methods=VERBS)
def follow(user_id: str) -> Json:
    asking, target = person(), uuid_of(user_id)
    standing = actions().follow(asking, target, wish(), traceparent())
    if not standing.active:
        # Without following there is no bell. Repeating the request repeats this, should it fail.
        Follows(parts().engine).set_bell(asking, target, False)
    return {"success": True, "following": standing.active, "followersCount": standing.count}


@blueprint.get("/<user_id>/followers")
def followers(user_id: str) -> Json:
    return _list("followers", user_id)


@blueprint.get("/<user_id>/following")
def following(user_id: str) -> Json:
    return _list("following", user_id)


def _list(side: Side, user_id: str) -> Json:
    target, part, asking = uuid_of(user_id), paging(50, 100), viewer()
    Blocks(parts().engine).check(asking, target, MISSING)
    found = ties(side, target, part, asking)
    return {
        "success": True,
        side: minis(tie.person for tie in found[: part.limit]),
        "nextCursor": next_cursor(found, part.limit, place),
    }


def ties(side: Side, target: str, part: Paging, viewer_id: str | None) -> list[Tie]:
    """A part of the list and one more line, if there is one. Own follows show in the next read:
    what is accepted is read before the rows, so that nothing falls in between."""
    pending = parts().memberships.pending
    unwritten = (
        pending.following(target) if side == "following" else pending.followers(target, viewer_id)
    )
    wanted = Part(part.limit + 1, part.place, viewer_id)
    return Follows(parts().engine).people(side, target, wanted, unwritten)


def place(tie: Tie) -> tuple[datetime, str]:
    return tie.since, tie.person.id


@blueprint.route("/<user_id>/bell", methods=VERBS)
def bell(user_id: str) -> Json:
    asked = wish()
    asking, target = person(), uuid_of(user_id)
    store = Follows(parts().engine)
    if not Users(parts().engine).exists(target):
        raise MISSING
    Blocks(parts().engine).check(asking, target, MISSING)
    follows = parts().memberships.follows_of(asking, [target])[target][1]
    if asked is not Wish.OFF and not follows:
        raise MUST_FOLLOW
    rings = target in store.bells(asking, [target])
    wanted = not rings if asked is Wish.TOGGLE else asked is Wish.ON
    if wanted != rings:
        store.set_bell(asking, target, wanted)
    return {"success": True, "bellEnabled": wanted}
