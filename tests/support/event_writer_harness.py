"""EventWriterHarness: the event writer on a real database, with queries that tests need."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from app.domain.clock import TimeAndIdSource
from app.domain.events import Event
from app.domain.grouping import AnnounceWhen, GroupKey
from app.persistence.event_writer import BatchOutcome, EventBatch, EventToWrite, EventWriter
from app.persistence.serializer import NotificationRenderer
from tests.support.fakes import ManualClock
from tests.support.fixtures import SampleUsers, new_id


@dataclass
class EventWriterHarness:
    engine: Engine
    sample_users: SampleUsers
    clock: ManualClock = field(default_factory=ManualClock)
    group_max_hours: float = 12.0

    def __post_init__(self) -> None:
        self.event_writer = EventWriter(
            self.engine, self.group_max_hours, TimeAndIdSource(self.clock.now, new_id)
        )

    def write(self, *events: Event, announce_when: AnnounceWhen = AnnounceWhen.NOW) -> BatchOutcome:
        """One transaction."""
        return self.event_writer.write(
            EventBatch(tuple(EventToWrite(event, announce_when) for event in events))
        )

    def write_and_get_outcome(self, event: Event) -> str:
        return self.write(event).outcomes[event.event_id]

    def close_window(self, *events: Event, group_key: GroupKey | None = None) -> BatchOutcome:
        """Writes the events as the end of their windows, or closes the window of `group_key`."""
        closing_groups = {GroupKey(event.recipient_id, event.kind, event.group_object_id) for event in events}
        if group_key is not None:
            closing_groups.add(group_key)
        items = tuple(EventToWrite(event, AnnounceWhen.ON_CLOSE) for event in events)
        return self.event_writer.write(EventBatch(items, frozenset(closing_groups)))

    def query(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(text(sql), values)]

    def execute(self, sql: str, **values: object) -> None:
        with self.engine.begin() as conn:
            conn.execute(text(sql), values)

    def notification_row(self, columns: str) -> tuple[Any, ...]:
        """Alice's only notification."""
        [row] = self.query(
            f"select {columns} from notifications where user_id = :alice",  # noqa: S608
            alice=self.sample_users.alice_id,
        )
        return row

    def client_events(self, event_type_pattern: str = "notification%") -> list[dict[str, Any]]:
        """Alice's client events whose name matches, in order, rendered with current names."""
        rows = self.query(
            "select payload from outbox where user_id = :alice and client_event like :name order by id",
            alice=self.sample_users.alice_id,
            name=event_type_pattern,
        )
        return NotificationRenderer(self.engine).render_payloads([row[0] for row in rows])

    @property
    def announcement_messages(self) -> list[str]:
        """The messages of the announcements."""
        return [client_event["message"] for client_event in self.client_events("notification")]

    @property
    def unread_counts(self) -> list[tuple[int, int]]:
        """(count, version)"""
        return [
            (client_event["count"], client_event["version"])
            for client_event in self.client_events("unread_count")
        ]

    @property
    def like_count(self) -> int:
        [(count,)] = self.query(
            "select like_count from posts where id = :post", post=self.sample_users.post_id
        )
        return int(count)

    def count_rows(self, table: str) -> int:
        return int(self.query(f"select count(*) from {table}")[0][0])  # noqa: S608
