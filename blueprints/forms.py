"""The pages' forms: what a person does without JavaScript. Each ends where it began.

In    POST /posts, /posts/:id/comments, /posts/:id/like, /users/:username/follow,
      /users/:username/bell, /notifications/read
Out   app/actions.py and stores, as the API does
"""

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from app.actions import Wish
from app.domain.errors import Rejected
from app.stores.follows import Follows
from app.stores.marks import Marks
from app.stores.users import Mini, Users
from blueprints import actions, limits, parts
from blueprints.comments import words
from blueprints.follows import MUST_FOLLOW
from blueprints.identity import traceparent, uuid_of
from blueprints.posts import publish, said
from blueprints.schemas import PostBody, ReplyBody, check
from blueprints.signed_in import check_csrf, local, me

blueprint = Blueprint("forms", __name__)
_POST, _REPLY = PostBody(), ReplyBody()


def _person() -> Mini:
    """Raises Rejected (401, 403): no form acts without its session and its CSRF field."""
    found = me()
    if found is None:
        raise Rejected("Please log in", "no_token", 401)
    check_csrf()
    limits().write(found.id)
    return found


def _back() -> Response:
    return redirect(local(request.form.get("back")), 303)


def _wish() -> Wish:
    return Wish.OFF if request.form.get("wish") == "off" else Wish.ON


@blueprint.post("/posts")
def post() -> Response:
    person = _person()
    caption, image_url = said(check(_POST, request.form.to_dict()))
    publish(person.id, caption, image_url)
    return _back()


@blueprint.post("/posts/<post_id>/comments")
def comment(post_id: str) -> Response:
    person = _person()
    text = words(check(_REPLY, request.form.to_dict())["content"], "Content required")
    parent = request.form.get("parent")
    if parent:
        actions().reply(person.id, uuid_of(parent), text, traceparent())
    else:
        actions().comment(person.id, uuid_of(post_id), text, traceparent())
    return _back()


@blueprint.post("/posts/<post_id>/like")
def like(post_id: str) -> Response:
    person = _person()
    actions().like(person.id, uuid_of(post_id), _wish(), traceparent())
    return _back()


@blueprint.post("/users/<username>/follow")
def follow(username: str) -> Response:
    person = _person()
    target = Users(parts().engine).id_of(username)
    if not actions().follow(person.id, target, _wish(), traceparent()).active:
        Follows(parts().engine).set_bell(person.id, target, False)
    return _back()


@blueprint.post("/users/<username>/bell")
def bell(username: str) -> Response:
    person = _person()
    target = Users(parts().engine).id_of(username)
    wanted = _wish() is Wish.ON
    if wanted and not parts().memberships.follows_of(person.id, [target])[target][1]:
        raise MUST_FOLLOW
    Follows(parts().engine).set_bell(person.id, target, wanted)
    return _back()


@blueprint.post("/notifications/read")
def read() -> Response:
    """One of them, or all of them up to the newest that the page showed."""
    person = _person()
    marks, one = Marks(parts().engine), request.form.get("id")
    up_to = request.form.get("upTo", "")
    if one:
        marks.read(person.id, uuid_of(one))
    else:
        marks.read_all(person.id, int(up_to) if up_to.isascii() and up_to.isdigit() else None)
    return _back()
