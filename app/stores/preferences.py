"""What somebody wants to hear of, by which channels, and when not.

In    blueprints/preferences.py
Out   the table notification_preferences; what quiet hours hold gets its new end with it
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from app.domain.preferences import Preferences as Choice
from app.domain.preferences import quiet_until
from app.stores.groups import lock_recipients
from app.stores.postgres import speaking
from app.stores.users import MISSING

Matrix = Mapping[str, Mapping[str, bool]]
COLUMNS = {
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
class Kept:
    """Values by their names in the API; `matrix` holds only what was chosen."""

    values: Mapping[str, Any]


class PreferenceStore:
    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def of(self, user_id: str) -> Kept:
        """The defaults where nothing was ever chosen. Raises Rejected (404)."""
        with speaking("read preferences"), self._engine.connect() as sql:
            if sql.execute(_USER, {"user": user_id}).first() is None:
                raise MISSING
            return _read(sql, user_id)

    def replace(self, user_id: str, given: Mapping[str, Any]) -> Kept:
        """The whole: what is not given is the default again."""
        return self._write(user_id, lambda _: DEFAULTS | dict(given))

    def merge(self, user_id: str, given: Mapping[str, Any]) -> Kept:
        """Only what is given; of the matrix, only its cells."""
        return self._write(user_id, lambda kept: merged(kept, given))

    def _write(
        self, user_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> Kept:
        with speaking("keep preferences"), self._engine.begin() as sql:
            # The ledger's lock: what it decides, it decides by the old ones or by the new ones.
            if not lock_recipients(sql, [user_id]):
                raise MISSING
            values = change(_read(sql, user_id).values)
            row = {COLUMNS[name]: value for name, value in values.items() if name in COLUMNS}
            row["matrix"] = orjson.dumps(row["matrix"]).decode()
            sql.execute(_WRITE, row | {"user": user_id})
            self._move_the_end(sql, user_id, values)
            return _read(sql, user_id)

    def _move_the_end(self, sql: Connection, user_id: str, values: Mapping[str, Any]) -> None:
        """Held rows ring at the end of the quiet hours as they are now; none: at once."""
        now = datetime.fromtimestamp(self._now(), UTC)
        until = quiet_end(values, now)
        sql.execute(_HELD, {"user": user_id, "until": until or now})


def quiet_end(values: Mapping[str, Any], now: datetime) -> datetime | None:
    """When the quiet hours that hold now are over; None outside of them."""
    hours = Choice(
        quiet=values["dndEnabled"],
        quiet_from=values["dndStartTime"],
        quiet_until=values["dndEndTime"],
        timezone=values["timezone"],
    )
    return quiet_until(hours, now)


def merged(kept: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    matrix = {kind: dict(cells) for kind, cells in kept["matrix"].items()}
    for kind, cells in given.get("matrix", {}).items():
        matrix.setdefault(kind, {}).update(cells)
    return dict(kept) | dict(given) | {"matrix": matrix}


def _read(sql: Connection, user_id: str) -> Kept:
    row = sql.execute(_READ, {"user": user_id}).mappings().first()
    if row is None:
        return Kept(DEFAULTS)
    return Kept({name: row[column] for name, column in COLUMNS.items()})


_NAMES = ", ".join(COLUMNS.values())
_USER = text("select 1 from users where id = :user")
_READ = text(f"select {_NAMES} from notification_preferences where user_id = :user")  # noqa: S608 - constants
_WRITE = text(
    f"insert into notification_preferences (user_id, {_NAMES}) values (:user, "  # noqa: S608 - constants
    + ", ".join(
        f"cast(:{name} as jsonb)" if name == "matrix" else f":{name}" for name in COLUMNS.values()
    )
    + ") on conflict (user_id) do update set updated_at = now(), "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS.values())
)
_HELD = text(
    "update notifications set held_until = :until where user_id = :user and held_until is not null"
)
