"""People: profiles, search, and leaving for good.

In    GET /api/users?q=, /api/users/search?q=; GET, PATCH, DELETE /api/users/:id
Out   stores/users.py, stores/memberships.py (followers), stores/follows.py (bells),
      stores/removals.py
"""

from flask import Blueprint, current_app, request
from marshmallow import ValidationError, validate

from app.domain.errors import Rejected
from app.passwords import Passwords
from app.stores.blocks import Blocks
from app.stores.follows import Follows
from app.stores.users import MISSING, Mini, Users
from blueprints import parts
from blueprints.identity import owner, uuid_of, viewer
from blueprints.paging import Paging, bad_cursor, cursor, number, paging
from blueprints.schemas import (
    MAX_NAME,
    MAX_TYPED_PASSWORD,
    MAX_URL,
    Body,
    Line,
    Password,
    Text,
    body,
    check,
)
from blueprints.views import Json, account, mini

blueprint = Blueprint("users", __name__, url_prefix="/api/users")
MAX_QUERY = 100
MAX_BIO = 160
MAX_FOUND = 1_000
NOT_YOURS = "Cannot update another user's profile"
NOT_YOURS_TO_REMOVE = "Cannot remove another user's account"


def _https(value: str) -> None:
    if value and not (value.startswith("https://") and value.isprintable() and " " not in value):
        raise ValidationError("avatarUrl must be an https address")


class ProfileBody(Body):
    name = Line(allow_none=True, validate=validate.Length(max=MAX_NAME))
    bio = Text(allow_none=True, validate=validate.Length(max=MAX_BIO))
    avatarUrl = Line(allow_none=True, validate=[validate.Length(max=MAX_URL), _https])


class FarewellBody(Body):
    needed = "Password required"
    password = Password(required=True, validate=validate.Length(max=MAX_TYPED_PASSWORD))


class Search(Body):
    q = Line(
        validate=validate.Length(max=MAX_QUERY, error="Search for at most {max} characters"),
    )


_PROFILE, _FAREWELL, _SEARCH = ProfileBody(), FarewellBody(), Search()


@blueprint.get("")
@blueprint.get("/search")
def search() -> Json:
    words = asked()
    if not words:
        raise Rejected("Search query required", "invalid", 400)
    found, following = find(words, paging(20, 100), viewer())
    return {"success": True, "users": with_followers(found), "nextCursor": following}


def asked() -> str:
    """What is searched for; empty when nothing is. Raises Rejected (400)."""
    words = request.args.get("q", "").strip()
    return str(check(_SEARCH, {"q": words})["q"])


def find(words: str, part: Paging, viewer_id: str | None) -> tuple[list[Mini], str | None]:
    """Those who are found, best first, without those whom a block hides from the viewer; and the
    cursor of the next part."""
    start = (number("page", 1, MAX_FOUND) - 1) * part.limit
    if part.cursor is not None:
        match part.cursor:
            case [int(start)] if 0 < start < MAX_FOUND:
                pass
            case _:
                raise bad_cursor()
    found = Users(parts().engine).search(words, part.limit + 1, start)
    more = len(found) > part.limit and start + part.limit < MAX_FOUND
    hidden = Blocks(parts().engine).among(viewer_id, [one.id for one in found])
    shown = [one for one in found[: part.limit] if one.id not in hidden]
    return shown, cursor(start + part.limit) if more else None


def with_followers(found: list[Mini]) -> list[Json]:
    followers = parts().memberships.follows_of(None, [one.id for one in found])
    return [
        mini(one)
        | {
            "_count": {"followers": followers[one.id][0]},
            "followersCount": followers[one.id][0],
        }
        for one in found
    ]


@blueprint.get("/<user_id>")
def one(user_id: str) -> Json:
    return {"success": True, "user": profile(uuid_of(user_id), viewer())}


@blueprint.patch("/<user_id>")
def change(user_id: str) -> Json:
    """An empty name or avatar is ignored, as the seed does; an empty bio is an empty bio."""
    asking, given = owner(user_id, NOT_YOURS), body(_PROFILE)
    name, avatar = (given.get("name") or "").strip(), given.get("avatarUrl")
    found = Users(parts().engine).change(asking, name or None, given.get("bio"), avatar or None)
    shown = account(found)
    del shown["email"]
    return {"success": True, "user": shown}


@blueprint.delete("/<user_id>")
def remove(user_id: str) -> Json:
    """For good, with the password: a token alone may have been stolen."""
    asking, given = owner(user_id, NOT_YOURS_TO_REMOVE), body(_FAREWELL)
    found = Users(parts().engine).by_id(asking)
    if found is None:
        raise MISSING
    if not _passwords().fits(given["password"], found.password_hash):
        raise Rejected("The password is wrong", "wrong_password", 403)
    parts().removals.account(asking)
    return {"success": True, "message": "Account removed"}


def profile(user_id: str, viewer_id: str | None) -> Json:
    """Raises Rejected (404), also when a block hides them from the viewer."""
    Blocks(parts().engine).check(viewer_id, user_id, MISSING)
    unwritten = parts().memberships.pending.following(user_id)
    found = Users(parts().engine).profile(user_id, unwritten)
    followers, followed = parts().memberships.follows_of(viewer_id, [user_id])[user_id]
    bells = Follows(parts().engine).bells(viewer_id, [user_id])
    return {
        "id": found.id,
        "username": found.username,
        "name": found.name,
        "bio": found.bio,
        "avatarUrl": found.avatar_url,
        "createdAt": found.created_at,
        "_count": {"posts": found.posts, "followers": followers, "following": found.following},
        "postsCount": found.posts,
        "followersCount": followers,
        "followingCount": found.following,
        "isFollowing": followed,
        "bellEnabled": user_id in bells,
    }


def _passwords() -> Passwords:
    """Threads of its own are made when first needed."""
    found: Passwords = current_app.extensions.setdefault("farewell_passwords", Passwords())
    return found
