"""Follows and bells.

In    PUT, DELETE, POST (toggle) /api/follows/:id and /api/follows/:id/bell; the two lists
Out   app/actions.py: follow; stores/follows.py
"""

from datetime import datetime

from flask import Blueprint

from app.actions import Wish
from app.domain.errors import Rejected
from app.stores.follows import Follows, Side, Tie
from app.stores.users import MISSING, Users
from blueprints import actions, parts
from blueprints.identity import person, traceparent, uuid_of, viewer
from blueprints.paging import next_cursor, paging
from blueprints.verbs import VERBS, wish
from blueprints.views import Json, mini, minis

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
    target, part = uuid_of(user_id), paging(50, 100)
    found = Follows(parts().engine).people("followers", target, part.limit + 1, part.place)
    answer = _list("followers", found, part.limit)
    asking = viewer()
    if asking is not None and part.cursor is None:
        with_oneself(answer["followers"], asking, target)
    return answer


def with_oneself(people: list[Json], asking: str, target: str) -> None:
    """One's own follow shows in the next read, though its row is written a moment later."""
    follows = parts().memberships.follows_of(asking, [target])[target][1]
    if not follows:
        people[:] = [one for one in people if one["id"] != asking]
    elif not Follows(parts().engine).is_written(asking, target):
        people[:0] = [mini(one) for one in Users(parts().engine).minis([asking]).values()]


@blueprint.get("/<user_id>/following")
def following(user_id: str) -> Json:
    part = paging(50, 100)
    store = Follows(parts().engine)
    found = store.people("following", uuid_of(user_id), part.limit + 1, part.place)
    return _list("following", found, part.limit)


def _list(side: Side, found: list[Tie], limit: int) -> Json:
    return {
        "success": True,
        side: minis(tie.person for tie in found[:limit]),
        "nextCursor": next_cursor(found, limit, place),
    }


def place(tie: Tie) -> tuple[datetime, str]:
    return tie.since, tie.person.id


@blueprint.route("/<user_id>/bell", methods=VERBS)
def bell(user_id: str) -> Json:
    asked = wish()
    asking, target = person(), uuid_of(user_id)
    store = Follows(parts().engine)
    if not Users(parts().engine).exists(target):
        raise MISSING
    follows = parts().memberships.follows_of(asking, [target])[target][1]
    if asked is not Wish.OFF and not follows:
        raise MUST_FOLLOW
    rings = target in store.bells(asking, [target])
    wanted = not rings if asked is Wish.TOGGLE else asked is Wish.ON
    if wanted != rings:
        store.set_bell(asking, target, wanted)
    return {"success": True, "bellEnabled": wanted}
