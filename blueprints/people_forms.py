"""The forms about people: whom one follows, hears, mutes and blocks; and one's own profile.

In    POST /users/:username/follow, /bell, /mute, /block; /posts/:id/mute; /profile
Out   app/actions.py and stores, as the API does
"""

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from app.actions import Wish
from app.stores.blocks import Blocks
from app.stores.follows import Follows
from app.stores.users import MISSING, Users
from blueprints import actions, parts
from blueprints.acting import acting, back, wish
from blueprints.follows import MUST_FOLLOW
from blueprints.identity import traceparent, uuid_of
from blueprints.mutes import mutes
from blueprints.schemas import check
from blueprints.users import ProfileBody

blueprint = Blueprint("people_forms", __name__)
_PROFILE = ProfileBody()


@blueprint.post("/users/<username>/follow")
def follow(username: str) -> Response:
    person = acting()
    target = Users(parts().engine).id_of(username)
    if not actions().follow(person.id, target, wish(), traceparent()).active:
        Follows(parts().engine).set_bell(person.id, target, False)
    return back()


@blueprint.post("/users/<username>/bell")
def bell(username: str) -> Response:
    person = acting()
    target = Users(parts().engine).id_of(username)
    wanted = wish() is Wish.ON
    Blocks(parts().engine).check(person.id, target, MISSING)
    if wanted and not parts().memberships.follows_of(person.id, [target])[target][1]:
        raise MUST_FOLLOW
    Follows(parts().engine).set_bell(person.id, target, wanted)
    return back()


@blueprint.post("/users/<username>/mute")
def mute(username: str) -> Response:
    person = acting()
    target = Users(parts().engine).id_of(username)
    mutes().person(person.id, target, wish() is Wish.ON)
    return back()


@blueprint.post("/users/<username>/block")
def block(username: str) -> Response:
    person = acting()
    target = Users(parts().engine).id_of(username)
    if wish() is Wish.ON:
        actions().block(person.id, target, traceparent())
        return redirect("/preferences", 303)  # the page one was on is hidden now
    actions().unblock(person.id, target, traceparent())
    return back()


@blueprint.post("/posts/<post_id>/mute")
def mute_post(post_id: str) -> Response:
    person = acting()
    mutes().post(person.id, uuid_of(post_id), wish() is Wish.ON)
    return back()


@blueprint.post("/profile")
def edit() -> Response:
    """An empty name is ignored, as the API does; an empty bio is an empty bio."""
    person = acting()
    given = check(_PROFILE, request.form.to_dict())
    name = (given.get("name") or "").strip() or None
    Users(parts().engine).change(person.id, name, given.get("bio"), None)
    return redirect(f"/users/{person.username}", 303)
