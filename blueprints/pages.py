"""The pages for reading. Everything on them works without JavaScript; scripts make it live.

In    /, /posts/:id, /posts/:id/likes, /bookmarks; blueprints/inbox.py: /notifications
Out   jinja/*.html
"""

from flask import Blueprint, render_template

from app.stores.bookmarks import Bookmarks
from app.stores.comments import Comment
from app.stores.posts import Posts
from app.stores.users import Mini
from blueprints import parts
from blueprints.bookmarks import place as bookmark_place
from blueprints.bookmarks import shown as kept_posts
from blueprints.cards import cards, with_ties
from blueprints.comments import tree
from blueprints.identity import uuid_of
from blueprints.paging import next_cursor, paging
from blueprints.posts import liking, place
from blueprints.profiles import with_follows
from blueprints.signed_in import reader

blueprint = Blueprint("pages", __name__)
PER_PAGE = 20
MAX_DEPTH = 6
"""Replies deeper than this are shown at this depth: a phone has no room for more."""


@blueprint.get("/")
def feed() -> str:
    reading, part = reader(), paging(PER_PAGE, PER_PAGE)
    found = Posts(parts().engine).newest(None, part.slice, reading.id)
    older = next_cursor(found, PER_PAGE, place)
    return render_template("feed.html", posts=cards(found[:PER_PAGE], reading.id), older=older)


@blueprint.get("/posts/<post_id>")
def post(post_id: str) -> str:
    reading = reader()
    found = Posts(parts().engine).find(uuid_of(post_id), reading.id)
    shown = cards([found], reading.id)[0]
    return render_template("post.html", post=shown, comments=_flat(found.id, reading.id))


def _flat(post_id: str, reader_id: str) -> list[tuple[int, Comment, Mini]]:
    """The forest as lines with a depth, so that no template has to recurse."""
    tops, children, people = tree(post_id, reader_id)
    lines: list[tuple[int, Comment, Mini]] = []
    waiting = [(0, comment) for comment in reversed(tops)]
    while waiting:
        depth, comment = waiting.pop()
        lines.append((min(depth, MAX_DEPTH), comment, people[comment.user_id]))
        waiting += [(depth + 1, one) for one in reversed(children.get(comment.id, []))]
    return lines


@blueprint.get("/posts/<post_id>/likes")
def likes(post_id: str) -> str:
    reading, part = reader(), paging(PER_PAGE, PER_PAGE)
    found = Posts(parts().engine).find(uuid_of(post_id), reading.id)
    people, older = liking(found.id, part, reading.id)
    return render_template(
        "likes.html",
        post=cards([found], reading.id)[0],
        people=with_follows(people, reading.id),
        older=older,
    )


@blueprint.get("/bookmarks")
def bookmarks() -> str:
    reading, part = reader(), paging(PER_PAGE, PER_PAGE)
    found = Bookmarks(parts().engine).newest(reading.id, part.slice)
    shown = with_ties(kept_posts(found[:PER_PAGE], reading.id), reading.id)
    older = next_cursor(found, PER_PAGE, bookmark_place)
    return render_template("bookmarks.html", posts=shown, older=older)
