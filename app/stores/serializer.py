"""Notifications as a person reads them: what is stored, with the people as they are called now.

In    rows of `notifications`, payloads of `outbox` and records of ready-notifications: they hold
      kind, actors by id, count and quoted text, and no name
Out   message, actorId, actorName, actorAvatar and actors, as lists, sockets, `missed` and letters
      show them

A name is looked up when it is shown, so that no queue, held item or history repeats a former one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, text

from app.domain.errors import Poisoned
from app.domain.events import UNGROUPED_KINDS, Kind, checked_uuid
from app.domain.wording import line, single
from app.stores.groups import SHOWN_NAME, Person
from app.stores.postgres import at_once, speaking

Json = dict[str, Any]
REMOVED_ACCOUNT = "Someone"
_ACTORS = "aggregatedActors"
_STORED_ONLY = frozenset({"quote", "instant"})


@dataclass(frozen=True, slots=True)
class Current:
    """What names and quotes are now. `quotes`: by row id; a row that is gone has no entry."""

    people: Mapping[str, Person] = field(default_factory=dict)
    quotes: Mapping[str, str | None] = field(default_factory=dict)


def message_of(kind: Kind, first: str | None, count: int, quote: str | None) -> str:
    """The text of a row or frame with `count` actors. `first`: the name of the one named in it;
    None: the account is gone."""
    name = first or REMOVED_ACCOUNT
    return single(kind, name, quote) if count <= 1 else line(kind, name, count - 1)


def naming(
    kind: Kind, people: Sequence[Person], count: int, quote: str | None, own: str | None
) -> Json:
    """The fields that name people. `people` in ACTOR_ORDER; `own`: the text of a notice, which has
    no actors."""
    actor, notice = _actor(people[0] if people else None), kind in UNGROUPED_KINDS
    return actor | {
        "message": own if notice else message_of(kind, actor["actorName"], count, quote),
        "actors": [_face(one) for one in people],
    }


def _actor(one: Person | None) -> Json:
    return {
        "actorId": one.id if one else None,
        "actorName": one.name if one else None,
        "actorAvatar": one.avatar_url if one else None,
    }


def _face(one: Person) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "username": one.username,
        "avatarUrl": one.avatar_url,
    }


def with_names(data: Json, current: Current) -> Json:
    """A stored frame as it is shown. What names no actors (a badge, a removal) stays as it is.

    Stored frames have no message but a notice's own: `group` has the row's title, count and quote;
    an `instant` one also the `quote` of the one actor it is about.
    """
    if not _has_actors(data):
        return data
    kind, group = Kind(data["type"]), data["group"]
    shown = [current.people[one] for one in data["metadata"][_ACTORS] if one in current.people]
    quote = _still(group["quote"], data["id"], current)
    whole = naming(kind, shown, group["count"], quote, data.get("message"))
    frame = {name: value for name, value in data.items() if name not in _STORED_ONLY} | whole
    frame["group"] = {"title": group["title"], "message": whole["message"]}
    if not data.get("instant"):
        return frame
    actor = _actor(current.people.get(data["actorId"]))
    quote = _still(data["quote"], data["id"], current)
    return frame | actor | {"message": message_of(kind, actor["actorName"], 1, quote)}


def _has_actors(data: Mapping[str, Any]) -> bool:
    metadata = data.get("metadata")
    return isinstance(metadata, dict) and _ACTORS in metadata and "group" in data


def _still(quote: str | None, row_id: str, current: Current) -> str | None:
    """What is quoted, unless the row is gone or quotes something else by now."""
    if quote is None or row_id not in current.quotes:
        return None
    return quote if current.quotes[row_id] in (None, quote) else None


def check_names(data: Json) -> None:
    """Raises Poisoned for a frame that with_names() could not show."""
    if not _has_actors(data):
        return
    try:
        for one in [data["id"], *_people(data)]:
            checked_uuid(one, "an id")
        with_names(data, Current())
        quotes = _quotes(data)
    except (KeyError, TypeError, AttributeError, ValueError) as fault:
        raise Poisoned(f"its names cannot be looked up: {type(fault).__name__}") from fault
    if not all(isinstance(one, str) for one in quotes):
        raise Poisoned("quote is no text")


def present(sql: Connection, frames: Sequence[Json]) -> list[Json]:
    """Stored frames as they are shown now. One statement for all, none if nobody is named."""
    named = [one for one in frames if _has_actors(one)]
    people = {one for frame in named for one in _people(frame)}
    quoted = {str(frame["id"]) for frame in named if _quotes(frame)}
    current = _ask(sql, people, quoted) if people else Current()
    return [with_names(one, current) for one in frames]


def _quotes(frame: Mapping[str, Any]) -> list[Any]:
    return [one for one in (frame.get("quote"), frame["group"]["quote"]) if one is not None]


def _people(frame: Mapping[str, Any]) -> Iterable[str]:
    return {*frame["metadata"][_ACTORS], *filter(None, [frame.get("actorId")])}


def _ask(sql: Connection, people: Iterable[str], rows: Iterable[str]) -> Current:
    asked = {"people": sorted(people), "rows": sorted(rows)}
    found, quotes = sql.execute(_CURRENT, asked).one()
    return Current({row[0]: Person(*row) for row in found or []}, quotes or {})


class Presenter:
    """Gives stored frames the current names, for whoever takes them from Kafka."""

    def __init__(self, engine: Engine) -> None:
        self._engine = at_once(engine)

    def present(self, frames: Sequence[Json]) -> list[Json]:
        """Raises Unavailable if somebody is named and PostgreSQL is away."""
        if not any(names_people(one) for one in frames):
            return [with_names(one, Current()) for one in frames]
        with speaking("look up names"), self._engine.connect() as sql:
            return present(sql, frames)


def names_people(data: Mapping[str, Any]) -> bool:
    """Whether PostgreSQL has to be asked before this frame can be shown."""
    return _has_actors(data) and any(_people(data))


_CURRENT = text(f"""
    select
        (select jsonb_agg(jsonb_build_array(u.id, {SHOWN_NAME}, u.avatar_url, u.is_verified,
            u.username)) from users u where u.id = any(cast(:people as uuid[]))),
        (select jsonb_object_agg(n.id::text, n.quote) from notifications n
            where n.id = any(cast(:rows as uuid[])) and n.removed_at is null)
""")  # noqa: S608 - constants only
