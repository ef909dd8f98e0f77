"""The simulation dials: real people, real likes, and the broom. Testing mode only.

In    POST /api/test/simulate-likes, -comments, -follows; DELETE /api/test/cleanup
Out   stores/simulated.py; app/actions.py, as any other person would
"""

from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

from flask import Blueprint

from app.actions import Actions, Wish
from app.domain.errors import Rejected, Unavailable
from app.passwords import Passwords
from app.patience import renew
from app.stores.posts import Posts
from app.stores.simulated import Pair, Simulated
from app.stores.users import NewUser, Users
from app.wiring import new_id
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
Doing = Callable[[Actions], object]
_BODY, _FOLLOWS = SimulateBody(), SimulateFollowsBody()
_hash: dict[str, str] = {}


@blueprint.post("/simulate-likes")
def likes() -> Json:
    person()
    given = body(_BODY)
    post = Posts(parts().engine).find(str(given["postId"]))
    people = simulated(min(given["count"], MOST))
    sides = {"mixed": (True, False), "followers": (True,), "non-followers": (False,)}
    results = []
    for one, follows in zip(people, cycle(sides[given["simulationType"]]), strict=False):
        tried = (_follow(one.id, post.user_id),) if follows else ()
        sent = event_of(*tried, _like(one.id, post.id))
        results.append(_result(one, sent) | {"isFollower": follows})
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


def _like(user_id: str, post_id: str, wish: Wish = Wish.ON) -> Doing:
    return lambda acting: acting.like(user_id, post_id, wish)


def _follow(user_id: str, target_id: str, wish: Wish = Wish.ON) -> Doing:
    return lambda acting: acting.follow(user_id, target_id, wish)


def _comment(user_id: str, post_id: str, text: str) -> Doing:
    return lambda acting: acting.comment(user_id, post_id, text)


def _withdrawal(pair: Pair) -> Doing:
    return lambda acting: acting.delete_comment(pair.user_id, pair.subject_id)


def event_of(*doings: Doing) -> str | None:
    """The id of the last one's event. None: refused; one who fails does not stop the others."""
    drawn: list[str] = []

    def draw() -> str:
        drawn.append(new_id())
        return drawn[-1]

    try:
        acting = actions().naming(draw)
        for doing in doings:
            doing(acting)
    except (Rejected, Unavailable):
        return None
    return drawn[-1] if drawn else None


@blueprint.post("/simulate-comments")
def comments() -> Json:
    person()
    given = body(_BODY)
    post = Posts(parts().engine).find(str(given["postId"]))
    people = simulated(min(given["count"], MOST))
    pairs = zip(people, cycle(TEXTS), strict=False)
    results = [_result(one, event_of(_comment(one.id, post.id, text))) for one, text in pairs]
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
    people = simulated(min(given["count"], MOST))
    results = [_result(one, event_of(_follow(one.id, target))) for one in people]
    return {"success": True, "message": f"Created {len(people)} test follows", "results": results}


def simulated(count: int) -> list[NewUser]:
    """New accounts with the seed's names; one hash for all, or fifty would stop the machine."""
    if PASSWORD not in _hash:
        _hash[PASSWORD] = Passwords().hash(PASSWORD)
    moment = int(parts().clock() * 1000)
    people = [_one(name, moment, i) for i, name in enumerate(islice(cycle(NAMES), count))]
    Simulated(parts().engine, parts().redis, parts().removals).create(people)
    return people


def _one(name: str, moment: int, number: int) -> NewUser:
    username = f"test_{name.lower()}_{moment}_{number}"
    return NewUser(
        id=new_id(),
        email=f"{username}@test.local",
        username=username,
        name=f"{name} (Test)",
        password_hash=_hash[PASSWORD],
    )


def _result(one: NewUser, event_id: str | None) -> dict[str, Any]:
    told = {"userId": one.id, "username": one.username}
    return told | {"success": event_id is not None, "eventId": event_id}


@blueprint.delete("/cleanup")
def cleanup() -> Json:
    """They take back what they did, as anybody would, before they go: so counts, groups and badges
    follow by the usual way."""
    person()
    store = Simulated(parts().engine, parts().redis, parts().removals)
    removed = 0
    while batch := store.some():
        renew()
        for pair in store.likes(batch):
            event_of(_like(pair.user_id, pair.subject_id, Wish.OFF))
        for pair in store.follows(batch):
            event_of(_follow(pair.user_id, pair.subject_id, Wish.OFF))
        for pair in store.comments(batch):
            event_of(_withdrawal(pair))
        store.wait_until_withdrawn(batch, WITHDRAWAL_SECONDS)
        removed += store.remove(batch)
    return {"success": True, "message": f"Cleaned up {removed} test users and their data"}
