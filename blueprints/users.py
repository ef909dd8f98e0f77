"""People: profiles and a simple search.

In    GET /api/users?q=, GET /api/users/:id
Out   stores/users.py, stores/memberships.py (followers), stores/follows.py (bells)
"""

from flask import Blueprint, request

from app.domain.errors import Rejected
from app.stores.follows import Follows
from app.stores.users import Users
from blueprints import parts
from blueprints.identity import uuid_of, viewer
from blueprints.views import Json, mini

blueprint = Blueprint("users", __name__, url_prefix="/api/users")
MAX_QUERY = 100


@blueprint.get("")
def search() -> Json:
    words = request.args.get("q", "").strip()
    if not words:
        raise Rejected("Search query required", "invalid", 400)
    if len(words) > MAX_QUERY or "\x00" in words:
        raise Rejected(f"q must be a text of at most {MAX_QUERY} characters", "invalid", 400)
    found = Users(parts().engine).search(words)
    followers = parts().memberships.follows_of(None, [one.id for one in found])
    people = [
        mini(one) | {"_count": {"followers": followers[one.id][0]}}
        | {"followersCount": followers[one.id][0]}
        for one in found
    ]  # fmt: skip
    return {"success": True, "users": people}


@blueprint.get("/<user_id>")
def one(user_id: str) -> Json:
    return {"success": True, "user": profile(uuid_of(user_id), viewer())}


def profile(user_id: str, viewer_id: str | None) -> Json:
    """Raises Rejected (404)."""
    found = Users(parts().engine).profile(user_id)
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
