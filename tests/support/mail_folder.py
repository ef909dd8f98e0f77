"""Notifications and announcements of a user, read from the tables with the texts that are shown."""

from typing import Any

from sqlalchemy import Engine, text

from app.domain.events import Kind
from app.persistence.pages import PageRequest
from app.persistence.serializer import message_and_actor_fields, render_payloads
from app.social.notifications import NotificationFilter, Notifications


def list_notifications(engine: Engine, user_id: str) -> list[dict[str, Any]]:
    """Rows of the table, newest change first, with message, actorId, actorName and actors."""
    notifications = Notifications(engine)
    rows = notifications.list_newest(user_id, NotificationFilter(), PageRequest(100)).items
    actors_by_row = notifications.get_first_actors([row["id"] for row in rows])
    return [
        dict(row)
        | message_and_actor_fields(
            Kind(row["type"]),
            actors_by_row[row["id"]],
            row["actor_count"],
            row["quote"],
            row["message"],
        )
        for row in rows
    ]


def list_announcements(engine: Engine, user_id: str | None = None) -> list[dict[str, Any]]:
    """Announcements of one user or of all, in the order of the outbox."""
    statement = text(
        "select payload from outbox where client_event = 'notification' "
        "and (cast(:user as uuid) is null or user_id = cast(:user as uuid)) order by id"
    )
    with engine.connect() as conn:
        return render_payloads(conn, list(conn.execute(statement, {"user": user_id}).scalars()))
