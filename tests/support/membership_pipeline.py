"""What the workers do with accepted likes and follows, without Kafka and windows."""

from collections.abc import Mapping, Sequence

import redis
from sqlalchemy import Engine

from app.domain.event_codec import event_from_stream_fields
from app.domain.events import Event
from app.ingest.ingress import ingress_key
from app.persistence.batch_writes import write_event_rows
from app.persistence.written_memberships import MembershipRow, WrittenMemberships, written_memberships
from tests.support.ingress_harness import stream_entries


class MembershipPipeline:
    def __init__(self, connection: redis.Redis, engine: Engine, shard_count: int) -> None:
        self._redis = connection
        self._engine = engine
        self._shards = range(1, shard_count + 1)
        self._written_memberships = WrittenMemberships(connection)

    def take_accepted(self) -> list[Event]:
        """Moves all events out of the ingress."""
        events = []
        for shard in self._shards:
            for stream_id, fields in stream_entries(self._redis, shard):
                events.append(event_from_stream_fields(stream_id, fields))
                self._redis.xdel(ingress_key(shard), stream_id)
        return events

    def write(self, events: Sequence[Event]) -> Mapping[MembershipRow, bool]:
        """Commits their rows. Returns the previous states."""
        with self._engine.begin() as conn:
            return write_event_rows(conn, events).was_active_by_row

    def settle(self, events: Sequence[Event], was_active_by_row: Mapping[MembershipRow, bool]) -> None:
        self._written_memberships.settle(written_memberships(events, was_active_by_row))

    def flush(self) -> None:
        """Writes and settles everything that was accepted."""
        events = self.take_accepted()
        self.settle(events, self.write(events))
