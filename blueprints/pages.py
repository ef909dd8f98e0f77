"""The pages for reading. Everything on them works without JavaScript; scripts make it live.

In    /, /posts/:id, /users/:username, /notifications
Out   jinja/*.html
"""

from typing import Any

from flask import Blueprint, redirect, render_template
from werkzeug.wrappers import Response

from app.domain.errors import Unavailable
from app.stores.comments import Comment
from app.stores.notifications import Filter, Notifications
from app.stores.posts import Posts
from app.stores.users import Mini, Users
from blueprints import parts
from blueprints.comments import tree
from blueprints.identity import uuid_of
from blueprints.notifications import rows
from blueprints.paging import cursor, next_cursor, paging
from blueprints.posts import place
from blueprints.signed_in import csrf, me, reader
from blueprints.users import profile
from blueprints.views import Json
from blueprints.views import posts as views

blueprint = Blueprint("pages", __name__)
PER_PAGE = 20
MAX_DEPTH = 6
"""Replies deeper than this are shown at this depth: a phone has no room for more."""


@blueprint.app_context_processor
def frame() -> dict[str, Any]:
    """What the frame of every page needs; an error page is shown even without a database."""
    try:
        person = me()
        unread = Notifications(parts().engine).badge(person.id).count if person else 0
    except Unavailable:
        person, unread = None, 0
    testing = parts().settings.web.testing
    return {"me": person, "unread": unread, "csrf": csrf, "testing": testing}


@blueprint.app_template_filter("hue")
def hue(name: str) -> int:
    """One of eight colours for a drawn avatar; a style attribute would need a laxer policy."""
    return sum(name.encode()) % 8


@blueprint.app_template_filter("initials")
def initials(name: str) -> str:
    words = [word for word in name.split() if word[:1].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


@blueprint.get("/")
def feed() -> str:
    return _posts("feed.html", reader(), None)


@blueprint.get("/users/<username>")
def person(username: str) -> str | Response:
    reading = reader()
    user_id = Users(parts().engine).id_of(username)
    return _posts("person.html", reading, user_id, person=profile(user_id, reading.id))


def _posts(template: str, reading: Mini, user_id: str | None, **more: Any) -> str:
    part = paging(PER_PAGE, PER_PAGE)
    found = Posts(parts().engine).newest(user_id, part.slice)
    shown = views(found[:PER_PAGE], reading.id)
    older = next_cursor(found, PER_PAGE, place)
    return render_template(template, posts=_with_ties(shown, reading.id), older=older, **more)


def _with_ties(shown: list[Json], reader_id: str) -> list[Json]:
    """Whether the reader follows each author, in one question for all."""
    authors = list({post["userId"] for post in shown})
    ties = parts().memberships.follows_of(reader_id, authors)
    return [post | {"isFollowing": ties[post["userId"]][1]} for post in shown]


@blueprint.get("/posts/<post_id>")
def post(post_id: str) -> str:
    reading = reader()
    found = Posts(parts().engine).find(uuid_of(post_id))
    shown = _with_ties(views([found], reading.id), reading.id)[0]
    return render_template("post.html", post=shown, comments=_flat(found.id))


def _flat(post_id: str) -> list[tuple[int, Comment, Mini]]:
    """The forest as lines with a depth, so that no template has to recurse."""
    tops, children, people = tree(post_id)
    lines: list[tuple[int, Comment, Mini]] = []
    waiting = [(0, comment) for comment in reversed(tops)]
    while waiting:
        depth, comment = waiting.pop()
        lines.append((min(depth, MAX_DEPTH), comment, people[comment.user_id]))
        waiting += [(depth + 1, one) for one in reversed(children.get(comment.id, []))]
    return lines


@blueprint.get("/notifications")
def notifications() -> str:
    reading, part = reader(), paging(PER_PAGE, PER_PAGE)
    found = Notifications(parts().engine).newest(reading.id, Filter(), part.slice)
    shown = rows(found[:PER_PAGE])
    last = found[PER_PAGE - 1] if len(found) > PER_PAGE else None
    older = cursor(last["updated_at"], last["id"]) if last else None
    return render_template("notifications.html", notifications=shown, older=older)


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    return redirect("/static/favicon.svg", 302)
