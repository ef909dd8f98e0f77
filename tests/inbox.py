"""A person's list and announcements from the tables, with the texts that are shown."""

from typing import Any

from sqlalchemy import Engine, text

from app.domain.events import Kind
from app.stores.notifications import Filter, Notifications
from app.stores.posts import Slice
from app.stores.serializer import naming, present


def inbox(engine: Engine, user_id: str) -> list[dict[str, Any]]:
    """Rows of the table, newest change first, with message, actorId, actorName and actors."""
    store = Notifications(engine)
    found = store.newest(user_id, Filter(), Slice(100))
    people = store.samples([row["id"] for row in found])
    return [
        dict(row)
        | naming(
            Kind(row["type"]), people[row["id"]], row["actor_count"], row["quote"], row["message"]
        )
        for row in found
    ]


def announced(engine: Engine, user_id: str | None = None) -> list[dict[str, Any]]:
    """What rang, of everybody or of one person, in the order of the outbox."""
    statement = text(
        "select payload from outbox where frame = 'notification' "
        "and (cast(:user as uuid) is null or user_id = cast(:user as uuid)) order by id"
    )
    with engine.connect() as sql:
        return present(sql, list(sql.execute(statement, {"user": user_id}).scalars()))
