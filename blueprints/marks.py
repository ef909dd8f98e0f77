"""Marks: read, unread, archived, deleted, seen; one row, or all of them, and the way back.

In    /api/notifications/*
Out   stores/marks.py
"""

from flask import Blueprint

from app.domain.errors import Rejected
from app.stores.marks import ARCHIVED, DELETED, UNARCHIVED, UNREAD, Mark, Marks
from blueprints import parts
from blueprints.identity import owner, person, uuid_of
from blueprints.notifications import NO_TOKEN, OWN_ONLY, rows
from blueprints.schemas import ReadAllBody, UnreadAllBody, body
from blueprints.views import Json

blueprint = Blueprint("marks", __name__, url_prefix="/api/notifications")
NOT_YOURS_TO_DELETE = Rejected(
    "Forbidden: Cannot delete another user's notification", "forbidden", 403
)
_READ_ALL, _UNREAD_ALL = ReadAllBody(), UnreadAllBody()


@blueprint.patch("/<notification_id>/read")
def read(notification_id: str) -> Json:
    asking = person(NO_TOKEN)
    row = Marks(parts().engine).read(asking, uuid_of(notification_id))
    return {"success": True, "notification": rows([row])[0]}


@blueprint.patch("/<notification_id>/unread")
def unread(notification_id: str) -> Json:
    return _marked(notification_id, UNREAD)


@blueprint.patch("/<notification_id>/archive")
def archive(notification_id: str) -> Json:
    return _marked(notification_id, ARCHIVED)


@blueprint.patch("/<notification_id>/unarchive")
def unarchive(notification_id: str) -> Json:
    return _marked(notification_id, UNARCHIVED)


def _marked(notification_id: str, mark: Mark) -> Json:
    row = Marks(parts().engine).mark(person(NO_TOKEN), uuid_of(notification_id), mark)
    return {"success": True, "notification": rows([row])[0]}


@blueprint.delete("/<notification_id>")
def delete(notification_id: str) -> Json:
    asking, wanted = person(NO_TOKEN), uuid_of(notification_id)
    Marks(parts().engine).mark(asking, wanted, DELETED, NOT_YOURS_TO_DELETE)
    return {"success": True, "message": "Notification deleted"}


@blueprint.patch("/<user_id>/seen")
def seen(user_id: str) -> Json:
    asking = owner(user_id, OWN_ONLY)
    up_to = body(_READ_ALL, optional=True).get("upTo")
    return {"success": True, "updatedCount": Marks(parts().engine).see_all(asking, up_to)}


@blueprint.patch("/<user_id>/read-all")
def read_all(user_id: str) -> Json:
    asking = owner(user_id, OWN_ONLY)
    up_to = body(_READ_ALL, optional=True).get("upTo")
    done = Marks(parts().engine).read_all(asking, up_to)
    return {"success": True, "updatedCount": done.count, "readAt": done.at}


@blueprint.patch("/<user_id>/unread-all")
def unread_all(user_id: str) -> Json:
    """Takes back one `read-all`, by the `readAt` that it answered."""
    asking = owner(user_id, OWN_ONLY)
    read_at = body(_UNREAD_ALL)["readAt"]
    return {"success": True, "updatedCount": Marks(parts().engine).unread_all(asking, read_at)}
