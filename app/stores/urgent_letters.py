"""Urgent letters: the e-mails and text messages of critical frames that have yet to go.

In    stores/urgency.py, in the ledger's transaction
Out   workers/courier.py
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from app.stores.postgres import at_once, speaking


@dataclass(frozen=True, slots=True)
class Due:
    """`data`: the frame; None when it was cleared meanwhile. `letter`: sealed, what only this
    says."""

    place: int
    user_id: str
    data: Mapping[str, Any] | None
    letter: str | None


class UrgentLetters:
    def __init__(self, engine: Engine) -> None:
        self._engine = at_once(engine)

    def due(self, channel: str, most: int) -> Sequence[Due]:
        """The oldest of a channel."""
        with speaking("tell the urgent letters"), self._engine.connect() as sql:
            rows = sql.execute(_DUE, {"channel": channel, "most": most})
            return [Due(row[0], row[1], row[2], row[3]) for row in rows]

    def gone(self, place: int) -> None:
        with speaking("note that a letter went"), self._engine.begin() as sql:
            sql.execute(_GONE, {"place": place})


_DUE = text("""
    select l.id, l.user_id::text, o.payload, o.letter from urgent_letters l
    left join outbox o on o.user_id = l.user_id and o.seq = l.seq
    where l.channel = :channel order by l.id limit :most
""")
_GONE = text("delete from urgent_letters where id = :place")
