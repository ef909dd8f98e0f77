"""Stores notification preferences: switches per kind and channel, and quiet hours.

In: requests of blueprints/api/preferences.py. Out: the table notification_preferences, and new times for the
notifications that quiet hours defer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors
from app.domain.preferences import NotificationPreferences, current_quiet_hours_end
from app.persistence.groups import lock_recipients
from app.social.users import NOT_FOUND

COLUMN_BY_FIELD = {
    "emailEnabled": "email_enabled",
    "smsEnabled": "sms_enabled",
    "pushEnabled": "push_enabled",
    "marketing": "marketing",
    "activity": "activity",
    "social": "social",
    "dndEnabled": "dnd_enabled",
    "dndStartTime": "dnd_start_time",
    "dndEndTime": "dnd_end_time",
    "timezone": "timezone",
    "matrix": "matrix",
}
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


@dataclass(frozen=True, slots=True)
class StoredPreferences:
    """Values by their names in the API. `matrix` has only the cells that the user set."""

    value_by_field: Mapping[str, Any]


class PreferenceStore:
    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def get(self, user_id: str) -> StoredPreferences:
        """The defaults if the user has set nothing. Raises Rejected (404)."""
        with translate_errors("read preferences"), self._engine.connect() as conn:
            if conn.execute(_USER_EXISTS, {"user": user_id}).first() is None:
                raise NOT_FOUND
            return _read_stored_or_defaults(conn, user_id)

    def replace(self, user_id: str, new_values: Mapping[str, Any]) -> StoredPreferences:
        """Replaces all values. Missing ones are reset to their defaults. Raises Rejected (404)."""
        return self._change_and_store(user_id, lambda _: DEFAULTS | dict(new_values))

    def merge(self, user_id: str, changes: Mapping[str, Any]) -> StoredPreferences:
        """Changes the given values, and the given cells of the matrix. Raises Rejected (404)."""
        return self._change_and_store(user_id, lambda stored: merge_preferences(stored, changes))

    def _change_and_store(
        self, user_id: str, apply_change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> StoredPreferences:
        with translate_errors("store preferences"), self._engine.begin() as conn:
            # The event writer takes the same lock: it uses either the old or the new preferences.
            if not lock_recipients(conn, [user_id]):
                raise NOT_FOUND
            new_values = apply_change(_read_stored_or_defaults(conn, user_id).value_by_field)
            row = {
                COLUMN_BY_FIELD[name]: value for name, value in new_values.items() if name in COLUMN_BY_FIELD
            }
            row["matrix"] = orjson.dumps(row["matrix"]).decode()
            conn.execute(_UPSERT_PREFERENCES, row | {"user": user_id})
            self._reschedule_deferred_notifications(conn, user_id, new_values)
            return _read_stored_or_defaults(conn, user_id)

    def _reschedule_deferred_notifications(
        self, conn: Connection, user_id: str, new_values: Mapping[str, Any]
    ) -> None:
        """Deferred notifications are announced at the end of the new quiet hours, or at once."""
        now = datetime.fromtimestamp(self._now(), UTC)
        deliver_at = stored_quiet_hours_end(new_values, now) or now
        conn.execute(_RESCHEDULE_DEFERRED, {"user": user_id, "deliver_at": deliver_at})


def stored_quiet_hours_end(preference_values: Mapping[str, Any], now: datetime) -> datetime | None:
    """The end of the current quiet hours; None outside of quiet hours."""
    preferences = NotificationPreferences(
        quiet_hours_enabled=preference_values["dndEnabled"],
        quiet_hours_start=preference_values["dndStartTime"],
        quiet_hours_end=preference_values["dndEndTime"],
        timezone=preference_values["timezone"],
    )
    return current_quiet_hours_end(preferences, now)


def merge_preferences(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    matrix = {kind: dict(cells) for kind, cells in stored["matrix"].items()}
    for kind, channels in changes.get("matrix", {}).items():
        matrix.setdefault(kind, {}).update(channels)
    return dict(stored) | dict(changes) | {"matrix": matrix}


def _read_stored_or_defaults(conn: Connection, user_id: str) -> StoredPreferences:
    row = conn.execute(_SELECT_PREFERENCES, {"user": user_id}).mappings().first()
    if row is None:
        return StoredPreferences(DEFAULTS)
    return StoredPreferences({name: row[column] for name, column in COLUMN_BY_FIELD.items()})


_COLUMN_LIST = ", ".join(COLUMN_BY_FIELD.values())
_USER_EXISTS = text("select 1 from users where id = :user")
_SELECT_PREFERENCES = text(f"select {_COLUMN_LIST} from notification_preferences where user_id = :user")  # noqa: S608 - constants
_UPSERT_PREFERENCES = text(
    f"insert into notification_preferences (user_id, {_COLUMN_LIST}) values (:user, "  # noqa: S608 - constants
    + ", ".join(
        f"cast(:{name} as jsonb)" if name == "matrix" else f":{name}" for name in COLUMN_BY_FIELD.values()
    )
    + ") on conflict (user_id) do update set updated_at = now(), "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMN_BY_FIELD.values())
)
_RESCHEDULE_DEFERRED = text(
    "update notifications set deferred_until = :deliver_at "
    "where user_id = :user and deferred_until is not null"
)
