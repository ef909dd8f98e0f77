"""One ingress shard with events, as a bridge reads it."""

from typing import Any

import pytest
import redis

from app.domain.routing import ingress_shard_of_object
from app.ingest.ingress import IngressEntry, IngressStreams
from app.ingest.memberships import IngressLimits
from tests.support.fixtures import like_event, new_id, unsaved_sample_users

SAMPLE_USERS = unsaved_sample_users()
SHARD = ingress_shard_of_object(SAMPLE_USERS.post_id, 4)
FIRST_OWNER, SECOND_OWNER = "owner one", "owner two"


@pytest.fixture
def ingress_streams(redis_connection: redis.Redis) -> IngressStreams:
    ingress_streams = IngressStreams(redis_connection, IngressLimits(4, 1000, 5.0))
    ingress_streams.create_shard(SHARD)
    return ingress_streams


def append_events(ingress_streams: IngressStreams, count: int) -> list[str]:
    """Appends new events and returns their ids in order."""
    events = [like_event(new_id(), SAMPLE_USERS, seq) for seq in range(1, count + 1)]
    for event in events:
        ingress_streams.append_events([event])
    return [event.event_id for event in events]


def read_entries(
    ingress_streams: IngressStreams, batch_size: int = 100, reads_pending: bool = False
) -> list[IngressEntry]:
    return ingress_streams.read_entries([SHARD], batch_size, reads_pending).get(SHARD, [])


def event_ids_of(entries: list[IngressEntry]) -> list[str]:
    return [entry.fields["eventId"] for entry in entries if entry.fields is not None]


def stream_entries(redis_connection: redis.Redis, shard: int) -> list[tuple[str, dict[str, str]]]:
    """All entries of a shard as (stream id, fields)."""
    entries: Any = redis_connection.xrange(f"ingress:{shard}")
    return list(entries)
