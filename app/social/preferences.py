"""Stores notification preferences: switches per kind and channel, and quiet hours.

In: requests of blueprints/api/preferences.py. Out: the table notification_preferences, and new times for the
notifications that quiet hours defer.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors
from app.domain.preferences import NotificationPreferences, current_quiet_hours_end
from app.persistence.groups import lock_recipients
from app.social.users import NOT_FOUND

Preferences = Mapping[str, Any]
"""Values by their names in the API. `matrix` has only the cells that the user set."""
DEFAULTS: dict[str, Any] = {
    "emailEnabled": True,
    "smsEnabled": False,
    "pushEnabled": True,
    "marketing": False,
    "activity": True,
    "social": True,
    "dndEnabled": False,
    "dndStartTime": time(22, 0),
    "dndEndTime": time(8, 0),
    "timezone": "UTC",
    "matrix": {},
}
_COLUMN_BY_FIELD = {name: re.sub("([A-Z])", r"_\1", name).lower() for name in DEFAULTS}


class PreferenceStore:
    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def get(self, user_id: str) -> Preferences:
        """The defaults if the user has set nothing. Raises Rejected (404)."""
        with translate_errors("read preferences"), self._engine.connect() as conn:
            if conn.execute(_USER_EXISTS, {"user": user_id}).first() is None:
                raise NOT_FOUND
            return _read_stored_or_defaults(conn, user_id)

    def replace(self, user_id: str, new_values: Preferences) -> Preferences:
        """Replaces all values. Missing ones are reset to their defaults. Raises Rejected (404)."""
        return self._change_and_store(user_id, lambda _: DEFAULTS | dict(new_values))

    def merge(self, user_id: str, changes: Preferences) -> Preferences:
        """Changes the given values, and the given cells of the matrix. Raises Rejected (404)."""
        return self._change_and_store(user_id, lambda stored: merge_preferences(stored, changes))

    def _change_and_store(
        self, user_id: str, apply_change: Callable[[Preferences], Preferences]
    ) -> Preferences:
        with translate_errors("store preferences"), self._engine.begin() as conn:
            # The event writer takes the same lock: it uses either the old or the new preferences.
            if not lock_recipients(conn, [user_id]):
                raise NOT_FOUND
            new_values = apply_change(_read_stored_or_defaults(conn, user_id))
            row = {column: new_values[name] for name, column in _COLUMN_BY_FIELD.items()}
            row["matrix"] = orjson.dumps(row["matrix"]).decode()
            conn.execute(_UPSERT_PREFERENCES, row | {"user": user_id})
            self._reschedule_deferred_notifications(conn, user_id, new_values)
            return _read_stored_or_defaults(conn, user_id)

    def _reschedule_deferred_notifications(
        self, conn: Connection, user_id: str, new_values: Preferences
    ) -> None:
        """Deferred notifications are announced at the end of the new quiet hours, or at once."""
        now = datetime.fromtimestamp(self._now(), UTC)
        deliver_at = stored_quiet_hours_end(new_values, now) or now
        conn.execute(_RESCHEDULE_DEFERRED, {"user": user_id, "deliver_at": deliver_at})


def stored_quiet_hours_end(preference_values: Preferences, now: datetime) -> datetime | None:
    """The end of the current quiet hours; None outside of quiet hours."""
    preferences = NotificationPreferences(
        quiet_hours_enabled=preference_values["dndEnabled"],
        quiet_hours_start=preference_values["dndStartTime"],
        quiet_hours_end=preference_values["dndEndTime"],
        timezone=preference_values["timezone"],
    )
    return current_quiet_hours_end(preferences, now)


def merge_preferences(stored: Preferences, changes: Preferences) -> Preferences:
    matrix = {kind: dict(cells) for kind, cells in stored["matrix"].items()}
    for kind, channels in changes.get("matrix", {}).items():
        matrix.setdefault(kind, {}).update(channels)
    return dict(stored) | dict(changes) | {"matrix": matrix}


def _read_stored_or_defaults(conn: Connection, user_id: str) -> Preferences:
    row = conn.execute(_SELECT_PREFERENCES, {"user": user_id}).mappings().first()
    return DEFAULTS if row is None else {name: row[column] for name, column in _COLUMN_BY_FIELD.items()}


_COLUMN_LIST = ", ".join(_COLUMN_BY_FIELD.values())
_USER_EXISTS = text("select 1 from users where id = :user")
_SELECT_PREFERENCES = text(f"select {_COLUMN_LIST} from notification_preferences where user_id = :user")  # noqa: S608 - constants
_UPSERT_PREFERENCES = text(
    f"insert into notification_preferences (user_id, {_COLUMN_LIST}) values (:user, "  # noqa: S608 - constants
    + ", ".join(
        f"cast(:{name} as jsonb)" if name == "matrix" else f":{name}" for name in _COLUMN_BY_FIELD.values()
    )
    + ") on conflict (user_id) do update set updated_at = now(), "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMN_BY_FIELD.values())
)
_RESCHEDULE_DEFERRED = text(
    "update notifications set deferred_until = :deliver_at "
    "where user_id = :user and deferred_until is not null"
)
