"""The simulation dials: real people, real likes, and the broom. Testing mode only.

In    POST /api/test/simulate-likes, -comments, -follows; DELETE /api/test/cleanup
Out   stores/simulated.py; app/actions.py, as any other person would
"""

from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import uuid_utils
from flask import Blueprint

from app.actions import Wish
from app.domain.errors import Rejected, Unavailable
from app.passwords import Passwords
from app.patience import renew
from app.stores.posts import Posts
from app.stores.simulated import Simulated
from app.stores.users import NewUser, Users
from blueprints import actions, parts
from blueprints.identity import person
from blueprints.schemas import SimulateBody, SimulateFollowsBody, body
from blueprints.views import Json

blueprint = Blueprint("simulate", __name__, url_prefix="/api/test")
MOST = 50
PASSWORD = "testpass123"  # noqa: S105 - the seed's, and these accounts exist in testing mode only
WITHDRAWAL_SECONDS = 3.0
# fmt: off
NAMES = (
    "Alice", "Bob", "Charlie", "Diana", "Ethan", "Fiona", "George", "Hannah", "Ivan", "Julia",
    "Kevin", "Laura", "Mike", "Nina", "Oscar", "Paula", "Quentin", "Rachel", "Steve", "Tina",
    "Umar", "Vera", "Will", "Xenia", "Yusuf", "Zoe",
)
# fmt: on
TEXTS = (
    "Great post! 🔥",
    "Love this!",
    "So true.",
    "Amazing work 👏",
    "Thanks for sharing!",
    "This made my day.",
    "Interesting point of view.",
    "Could not agree more.",
)
_BODY, _FOLLOWS = SimulateBody(), SimulateFollowsBody()
_hash: dict[str, str] = {}


@blueprint.post("/simulate-likes")
def likes() -> Json:
    person()
    given = body(_BODY)
    post = Posts(parts().engine).find(str(given["postId"]))
    people = _people(min(given["count"], MOST))
    sides = {"mixed": (True, False), "followers": (True,), "non-followers": (False,)}
    results = []
    for one, follows in zip(people, cycle(sides[given["simulationType"]]), strict=False):
        tried = (_follow(one.id, post.user_id),) if follows else ()
        done = _try(*tried, _like(one.id, post.id))
        results.append(_result(one, done) | {"isFollower": follows})
    followers = sum(bool(one["isFollower"]) for one in results)
    rules = parts().settings.rules
    instant = len(people) <= rules.instant_likes
    delivery = "INSTANT" if instant else f"BATCHED (~{rules.window_seconds:g}s)"
    return {
        "success": True,
        "message": f"Created {len(people)} test likes ({delivery})",
        "deliveryType": delivery,
        "results": results,
        "stats": {
            "total": len(people),
            "followers": followers,
            "nonFollowers": len(people) - followers,
        },
    }


def _like(user_id: str, post_id: str) -> Callable[[], object]:
    return lambda: actions().like(user_id, post_id, Wish.ON)


def _follow(user_id: str, target_id: str) -> Callable[[], object]:
    return lambda: actions().follow(user_id, target_id, Wish.ON)


def _comment(user_id: str, post_id: str, text: str) -> Callable[[], object]:
    return lambda: actions().comment(user_id, post_id, text)


@blueprint.post("/simulate-comments")
def comments() -> Json:
    person()
    given = body(_BODY)
    post = Posts(parts().engine).find(str(given["postId"]))
    people = _people(min(given["count"], MOST))
    pairs = zip(people, cycle(TEXTS), strict=False)
    results = [_result(one, _try(_comment(one.id, post.id, text))) for one, text in pairs]
    return {
        "success": True,
        "message": f"Created {len(people)} test comments",
        "results": results,
    }


@blueprint.post("/simulate-follows")
def follows() -> Json:
    person()
    given = body(_FOLLOWS)
    target = str(given["targetUserId"])
    if not Users(parts().engine).exists(target):
        raise Rejected("Target user not found", "user_not_found", 404)
    people = _people(min(given["count"], MOST))
    results = [_result(one, _try(_follow(one.id, target))) for one in people]
    return {"success": True, "message": f"Created {len(people)} test follows", "results": results}


def _people(count: int) -> list[NewUser]:
    """New accounts with the seed's names; one hash for all, or fifty would stop the machine."""
    if PASSWORD not in _hash:
        _hash[PASSWORD] = Passwords().hash(PASSWORD)
    moment = int(parts().clock() * 1000)
    people = [_one(name, moment, i) for i, name in enumerate(islice(cycle(NAMES), count))]
    Simulated(parts().engine, parts().redis).create(people)
    return people


def _one(name: str, moment: int, number: int) -> NewUser:
    username = f"test_{name.lower()}_{moment}_{number}"
    return NewUser(
        id=str(uuid_utils.uuid7()),
        email=f"{username}@test.local",
        username=username,
        name=f"{name} (Test)",
        password_hash=_hash[PASSWORD],
    )


def _try(*doings: Callable[[], object]) -> bool:
    """One who fails does not stop the others; the answer says who did."""
    try:
        for doing in doings:
            doing()
    except (Rejected, Unavailable):
        return False
    return True


def _result(one: NewUser, done: bool) -> dict[str, Any]:
    return {"userId": one.id, "username": one.username, "success": done}


@blueprint.delete("/cleanup")
def cleanup() -> Json:
    """They take back what they did, as anybody would, before they go: so counts, groups and badges
    follow by the usual way."""
    person()
    store = Simulated(parts().engine, parts().redis)
    removed = 0
    while batch := store.some():
        renew()
        for pair in store.likes(batch):
            _try(lambda pair=pair: actions().like(pair.user_id, pair.subject_id, Wish.OFF))  # type: ignore[misc]
        for pair in store.follows(batch):
            _try(lambda pair=pair: actions().follow(pair.user_id, pair.subject_id, Wish.OFF))  # type: ignore[misc]
        for pair in store.comments(batch):
            _try(lambda pair=pair: actions().delete_comment(pair.user_id, pair.subject_id))  # type: ignore[misc]
        store.wait_until_withdrawn(batch, WITHDRAWAL_SECONDS)
        removed += store.remove(batch)
    return {"success": True, "message": f"Cleaned up {removed} test users and their data"}
