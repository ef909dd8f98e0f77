"""The pages' forms: what a person does without JavaScript. Each ends where it began.

In    POST /posts, /posts/:id/comments, /like, /share, /bookmark, /delete; /comments/:id/delete;
      /notifications/{read,unread,archive}
Out   app/actions.py and stores, as the API does
"""

from flask import Blueprint, request
from werkzeug.wrappers import Response

from app.actions import Wish
from app.stores.bookmarks import Bookmarks
from app.stores.marks import ARCHIVED, UNREAD, Mark, Marks
from blueprints import actions, parts
from blueprints.acting import acting, back, wish
from blueprints.comments import words
from blueprints.identity import traceparent, uuid_of
from blueprints.posts import publish, said
from blueprints.schemas import PostBody, ReplyBody, check

blueprint = Blueprint("forms", __name__)
_POST, _REPLY = PostBody(), ReplyBody()


@blueprint.post("/posts")
def post() -> Response:
    person = acting()
    caption, image_url = said(check(_POST, request.form.to_dict()))
    publish(person.id, caption, image_url)
    return back()


@blueprint.post("/posts/<post_id>/comments")
def comment(post_id: str) -> Response:
    person = acting()
    text = words(check(_REPLY, request.form.to_dict())["content"], "Content required")
    parent = request.form.get("parent")
    if parent:
        actions().reply(person.id, uuid_of(parent), text, traceparent())
    else:
        actions().comment(person.id, uuid_of(post_id), text, traceparent())
    return back()


@blueprint.post("/posts/<post_id>/like")
def like(post_id: str) -> Response:
    person = acting()
    actions().like(person.id, uuid_of(post_id), wish(), traceparent())
    return back()


@blueprint.post("/posts/<post_id>/share")
def share(post_id: str) -> Response:
    person = acting()
    actions().share(person.id, uuid_of(post_id), traceparent())
    return back()


@blueprint.post("/posts/<post_id>/bookmark")
def bookmark(post_id: str) -> Response:
    person = acting()
    Bookmarks(parts().engine).put(person.id, uuid_of(post_id), wish() is Wish.ON)
    return back()


@blueprint.post("/posts/<post_id>/delete")
def delete_post(post_id: str) -> Response:
    person = acting()
    parts().removals.post(person.id, uuid_of(post_id))
    return back()


@blueprint.post("/comments/<comment_id>/delete")
def delete_comment(comment_id: str) -> Response:
    person = acting()
    actions().delete_comment(person.id, uuid_of(comment_id), traceparent())
    return back()


@blueprint.post("/notifications/read")
def read() -> Response:
    """One of them, or all of them up to the newest that the page showed."""
    person = acting()
    marks, one = Marks(parts().engine), request.form.get("id")
    up_to = request.form.get("upTo", "")
    if one:
        marks.read(person.id, uuid_of(one))
    else:
        marks.read_all(person.id, int(up_to) if up_to.isascii() and up_to.isdigit() else None)
    return back()


@blueprint.post("/notifications/unread")
def unread() -> Response:
    return _marked(UNREAD)


@blueprint.post("/notifications/archive")
def archive() -> Response:
    return _marked(ARCHIVED)


def _marked(mark: Mark) -> Response:
    person = acting()
    Marks(parts().engine).mark(person.id, uuid_of(request.form.get("id", "")), mark)
    return back()
