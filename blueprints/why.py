"""Why a notification came: the decisions on its way, from what the tables know.

In    stores/notifications.py: a row, its actors, the frames that told it
Out   sentences with their times, and the facts behind them
"""

from typing import Any

from app.domain.events import COMMENT_KINDS, CRITICAL_KINDS, Kind, occurred_at
from app.domain.ledger import Frame
from app.domain.routing import LANES, priority_of
from app.domain.windows import Rules, instant_places
from app.stores.notifications import Why
from app.stores.seen import SEEN
from blueprints.views import Json


def told(found: Why, message: str) -> Json:
    """`message`: the row's text as the list shows it."""
    row, kind = found.row, Kind(found.row["type"])
    follower = any(one["is_follower"] for one in found.actors if one["active"])
    lane = LANES[priority_of(kind, follower)]
    return {
        "notificationId": row["id"],
        "type": kind.value,
        "message": message,
        "lane": {
            "topic": lane.value,
            "priority": row["priority"],
            "because": _lane(kind, follower),
        },
        "aggregation": {"because": _gathering(kind), "generation": row["generation"]},
        "preferences": {
            "decision": "held" if row["held_until"] else "sent",
            "channels": list(row["channels"]),
            "heldUntil": row["held_until"],
        },
        "actors": [_actor(one) for one in found.actors],
        "steps": _steps(found),
    }


def _lane(kind: Kind, follower: bool) -> str:
    if kind in CRITICAL_KINDS:
        return "Security messages have a lane of their own and pass every preference"
    if priority_of(kind, False) is priority_of(kind, True):
        return f"All notifications of type {kind.value} take this lane"
    return "A follower is among them" if follower else "Nobody among them follows you"


def _gathering(kind: Kind) -> str:
    if kind in COMMENT_KINDS:
        return "Comments are gathered and told together when their window ends"
    if instant_places(kind, Rules()) is None:
        return "Told at once"
    return "The first few of a window are told at once, the others together when it ends"


def _actor(one: Any) -> Json:
    return {
        "id": one["actor_id"],
        "name": one["name"],
        "username": one["username"],
        "eventId": one["event_id"],
        "follower": one["is_follower"],
        "active": one["active"],
        "announced": one["announced"],
        "occurredAt": occurred_at(one["seq"]),
    }


def _steps(found: Why) -> list[Json]:
    """Accepted, written, told: each with its time, in order."""
    row = found.row
    steps: list[Json] = [
        {"name": "accepted", "at": occurred_at(one["seq"]), "eventId": one["event_id"]}
        for one in found.actors
    ]
    steps.append({"name": "written", "at": row["created_at"]})
    for frame in found.frames:
        new = int(frame["new_count"] or 0)
        steps.append(
            {
                "name": _name(frame["frame"], new),
                "at": frame["created_at"],
                "publishedAt": frame["published_at"],
                "seq": frame["seq"],
                "version": int(frame["version"]),
                "newCount": new,
            }
        )
    marks = (("seen", "seen_at"), ("read", "read_at"), ("archived", "archived_at"))
    steps += [{"name": name, "at": row[column]} for name, column in marks if row[column]]
    return sorted(steps, key=lambda step: step["at"])


def _name(frame: str, new: int) -> str:
    """A silent frame that announces somebody is one that quiet hours held."""
    if frame == SEEN:
        return "shown"
    if frame == Frame.ANNOUNCED:
        return "gathered announcement" if new > 1 else "announcement"
    return "held by quiet hours" if new else "change"
