"""Pages about people: a profile, who follows whom, and search.

In    /users/:username, /users/:username/followers, /following; /search
Out   jinja/person.html, people.html, search.html
"""

from flask import Blueprint, render_template

from app.stores.follows import Side
from app.stores.posts import Posts
from app.stores.users import Users
from blueprints import parts
from blueprints.cards import cards
from blueprints.follows import place as tie_place
from blueprints.follows import ties
from blueprints.mutes import mutes
from blueprints.paging import next_cursor, paging
from blueprints.posts import place
from blueprints.signed_in import reader
from blueprints.users import asked, find, profile, with_followers
from blueprints.views import Json, minis

blueprint = Blueprint("profiles", __name__)
PER_PAGE = 20
SUGGESTED = 12


@blueprint.get("/users/<username>")
def person(username: str) -> str:
    reading, part = reader(), paging(PER_PAGE, PER_PAGE)
    user_id = Users(parts().engine).id_of(username)
    shown = profile(user_id, reading.id)
    found = Posts(parts().engine).newest(user_id, part.slice, reading.id)
    return render_template(
        "person.html",
        person=shown | {"isMuted": mutes().has_muted(reading.id, user_id)},
        posts=cards(found[:PER_PAGE], reading.id),
        older=next_cursor(found, PER_PAGE, place),
    )


@blueprint.get("/users/<username>/followers")
def followers(username: str) -> str:
    return _ties(username, "followers")


@blueprint.get("/users/<username>/following")
def following(username: str) -> str:
    return _ties(username, "following")


def _ties(username: str, side: Side) -> str:
    reading, part = reader(), paging(PER_PAGE, PER_PAGE)
    user_id = Users(parts().engine).id_of(username)
    shown = profile(user_id, reading.id)
    found = ties(side, user_id, part, reading.id)
    people = minis(tie.person for tie in found[: part.limit])
    return render_template(
        "people.html",
        side=side,
        person=shown,
        people=with_follows(people, reading.id),
        older=next_cursor(found, part.limit, tie_place),
    )


def with_follows(people: list[Json], reader_id: str) -> list[Json]:
    """How many follow each, and whether the reader does."""
    ties = parts().memberships.follows_of(reader_id, [one["id"] for one in people])
    return [
        one | {"followersCount": ties[one["id"]][0], "isFollowing": ties[one["id"]][1]}
        for one in people
    ]


@blueprint.get("/search")
def search() -> str:
    """Without words: the newest people, so that nobody stands before an empty room."""
    reading = reader()
    words = asked()
    if not words:
        newest = minis(Users(parts().engine).newest(SUGGESTED, reading.id))
        people = with_follows(newest, reading.id)
        return render_template("search.html", q="", people=people, older=None)
    found, older = find(words, paging(PER_PAGE, PER_PAGE), reading.id)
    people = with_follows(with_followers(found), reading.id)
    return render_template("search.html", q=words, people=people, older=older)
