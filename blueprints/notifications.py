"""Notifications: the list, the badge, and who is in a group. blueprints/marks.py has the verbs.

In    /api/notifications/*
Out   stores/notifications.py; blueprints/why.py: how a row came about
"""

from datetime import datetime
from typing import Any

from flask import Blueprint, request
from sqlalchemy import RowMapping

from app.domain.errors import Rejected
from app.domain.events import Kind, Priority
from app.stores.groups import Person
from app.stores.notifications import MISSING, Actor, Filter, Notifications
from app.stores.serializer import naming
from blueprints import parts
from blueprints.identity import owner, person, uuid_of
from blueprints.paging import Paging, bad_cursor, next_cursor, paging
from blueprints.views import Json, mini
from blueprints.why import told

blueprint = Blueprint("notifications", __name__, url_prefix="/api/notifications")
OWN_ONLY = "Forbidden: You can only access your own resources"
NO_TOKEN = "Authorization required. Please provide a valid token."  # noqa: S105 - a sentence
FOREIGN = Rejected(OWN_ONLY, "forbidden", 403)


@blueprint.get("/<user_id>")
def newest(user_id: str) -> Json:
    asking = owner(user_id, OWN_ONLY)
    part, wanted = paging(20, 100), _filter()
    store = Notifications(parts().engine)
    found = store.newest(asking, wanted, part.slice)
    answer: Json = {"success": True, "notifications": rows(found[: part.limit])}
    if part.cursor is None:
        totals = part.totals(store.total(asking, wanted))
        answer["pagination"] = totals | {"hasMore": len(found) > part.limit}
    answer["nextCursor"] = next_cursor(found, part.limit, place)
    return answer


def place(row: RowMapping) -> tuple[datetime, str]:
    return row["updated_at"], row["id"]


def _filter() -> Filter:
    unread = _one_of("unreadOnly", ("true", "false")) == "true"
    priority = _one_of("priority", tuple(one.value for one in Priority))
    return Filter(unread, priority, _one_of("type", tuple(kind.value for kind in Kind)))


def _one_of(name: str, allowed: tuple[str, ...]) -> str | None:
    given = request.args.get(name)
    if given is not None and given not in allowed:
        raise Rejected(f"{name} must be one of {', '.join(allowed)}", "invalid", 400)
    return given


@blueprint.get("/<user_id>/unread-count")
def unread_count(user_id: str) -> Json:
    badge = Notifications(parts().engine).badge(owner(user_id, OWN_ONLY))
    breakdown = {name.lower(): count for name, count in badge.by_priority.items()}
    return {
        "success": True,
        "count": badge.count,
        "breakdown": breakdown,
        "version": badge.version,
    }


@blueprint.get("/<user_id>/grouped")
def grouped(user_id: str) -> Json:
    asking = owner(user_id, OWN_ONLY)
    store = Notifications(parts().engine)
    by_kind: dict[str, list[Json]] = {}
    for row in rows(store.grouped(asking)):
        by_kind.setdefault(row["type"], []).append(row)
    stats = [dict(one) for one in store.stats(asking)]
    return {"success": True, "grouped": by_kind, "stats": stats}


@blueprint.get("/<user_id>/totals")
def totals(user_id: str) -> Json:
    """How many rows each view of the list has; `version` as in unread-count."""
    store, asking = Notifications(parts().engine), owner(user_id, OWN_ONLY)
    version = store.badge(asking).version  # first: a later change is told, an earlier one counted
    by_kind = {
        one["type"]: {"count": one["count"], "unread": one["unread"]} for one in store.stats(asking)
    }
    return {"success": True, "types": by_kind, "version": version}


@blueprint.get("/<notification_id>/why")
def why(notification_id: str) -> Json:
    asking, wanted = person(NO_TOKEN), uuid_of(notification_id)
    found = Notifications(parts().engine).why(wanted)
    if found is None:
        raise MISSING
    if found.row["user_id"] != asking:
        raise FOREIGN
    return {"success": True} | told(found, rows([found.row])[0]["message"])


@blueprint.get("/<notification_id>/actors")
def actors(notification_id: str) -> Json:
    asking, part = person(NO_TOKEN), paging(20, 100)
    store, wanted = Notifications(parts().engine), uuid_of(notification_id)
    if store.owner_of(wanted) != asking:
        raise FOREIGN
    found = store.actors(wanted, part.limit + 1, _after(part))
    return {
        "success": True,
        "actors": [mini(one.person) for one in found[: part.limit]],
        "nextCursor": next_cursor(found, part.limit, _actor_place),
    }


def _actor_place(one: Actor) -> tuple[bool, int, str]:
    return one.follower, one.seq, one.person.id


def _after(part: Paging) -> tuple[bool, int, str] | None:
    if part.cursor is None:
        return None
    match part.cursor:
        case [bool(follower), int(seq), str(last)]:
            return follower, seq, uuid_of(last)
    raise bad_cursor()


def rows(found: list[RowMapping]) -> list[Json]:
    """Rows as the list shows them, each with its first actors."""
    people = Notifications(parts().engine).samples([row["id"] for row in found])
    return [_row(row, people[row["id"]]) for row in found]


def _row(row: RowMapping, people: list[Person]) -> Json:
    """The seed's fields in the seed's order (seed-notes 1.2), then contract 3's."""
    named = naming(Kind(row["type"]), people, row["actor_count"], row["quote"], row["message"])
    seed: dict[str, Any] = {
        "id": row["id"],
        "userId": row["user_id"],
        "type": row["type"],
        "priority": row["priority"],
        "actorId": named["actorId"],
        "actorName": named["actorName"],
        "actorAvatar": named["actorAvatar"],
        "isAggregated": row["actor_count"] > 1,
        "aggregatedCount": max(1, row["actor_count"]),
        "title": row["title"],
        "message": named["message"],
        "imageUrl": row["image_url"],
        "targetType": row["target_type"],
        "targetId": row["target_id"],
        "isRead": row["is_read"],
        "channels": row["channels"],
        "metadata": row["metadata"],
        "createdAt": row["created_at"],
    }
    return seed | {
        "version": row["version"],
        "generation": row["generation"],
        "seq": row["seq"],
        "actors": named["actors"],
        "seenAt": row["seen_at"],
        "readAt": row["read_at"],
        "archivedAt": row["archived_at"],
        "updatedAt": row["updated_at"],
        # What the seed's whole row has beyond its list.
        "aggregatedIds": [one.id for one in people],
        "deliveryStatus": "HELD" if row["held_until"] else "SENT",
    }
