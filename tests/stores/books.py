"""The ledger under test, with the questions that tests ask of the tables."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from app.domain.events import Event
from app.domain.ledger import GroupKey, Ring
from app.stores.ledger import Batch, Entry, Hand, Ledger, Settled
from app.stores.serializer import Presenter
from tests.cast import Cast, new_id
from tests.fakes import Clock
from tests.inbox import inbox


@dataclass
class Books:
    engine: Engine
    cast: Cast
    clock: Clock = field(default_factory=Clock)
    max_hours: float = 12.0

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.engine, self.max_hours, Hand(self.clock.now, new_id))

    def writes(self, *events: Event, ring: Ring = Ring.AT_ONCE) -> Settled:
        """One transaction."""
        return self.ledger.write(Batch(tuple(Entry(one, ring) for one in events)))

    def closes(self, *events: Event, group: GroupKey | None = None) -> Settled:
        """The end of a window: these events, or what its group is still owed."""
        keys = {GroupKey(one.recipient_id, one.kind, one.group_object) for one in events}
        entries = tuple(Entry(one, Ring.AT_CLOSE) for one in events)
        return self.ledger.write(Batch(entries, frozenset(keys | ({group} - {None}))))

    def ask(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def tell(self, sql: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), values)

    def row(self, columns: str) -> tuple[Any, ...]:
        """Alice's only notification."""
        [found] = self.ask(
            f"select {columns} from notifications where user_id = :alice",  # noqa: S608
            alice=self.cast.alice,
        )
        return found

    def frames(self, name: str = "notification%") -> list[dict[str, Any]]:
        """What Alice was told, in order, as it is shown now."""
        rows = self.ask(
            "select payload from outbox where user_id = :alice and frame like :name order by id",
            alice=self.cast.alice,
            name=name,
        )
        return Presenter(self.engine).present([row[0] for row in rows])

    @property
    def message(self) -> str:
        """The text of Alice's only notification in her list."""
        [row] = inbox(self.engine, self.cast.alice)
        return str(row["message"])

    @property
    def lines(self) -> list[str]:
        """The messages of the announcements."""
        return [frame["message"] for frame in self.frames("notification")]

    @property
    def badges(self) -> list[tuple[int, int]]:
        """(count, version)"""
        return [(frame["count"], frame["version"]) for frame in self.frames("unread_count")]

    @property
    def like_count(self) -> int:
        [(count,)] = self.ask("select like_count from posts where id = :post", post=self.cast.post)
        return int(count)

    def count(self, table: str) -> int:
        return int(self.ask(f"select count(*) from {table}")[0][0])  # noqa: S608
