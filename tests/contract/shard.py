"""One shard of the ingress, with events in it, as a bridge sees it."""

import pytest
import redis

from app.domain.routing import shard_of
from app.stores.memberships import Bounds
from app.streams.ingress import Ingress
from tests.cast import like, new_id, unknown_cast

CAST = unknown_cast()
SHARD = shard_of(CAST.post, 4)
ONE, OTHER = "holder one", "holder two"


@pytest.fixture
def ingress(connection: redis.Redis) -> Ingress:
    made = Ingress(connection, Bounds(4, 1000, 5.0))
    made.create(SHARD)
    return made


def appended(ingress: Ingress, many: int) -> list[str]:
    """Ids of so many new events, in order."""
    events = [like(new_id(), CAST, n) for n in range(1, many + 1)]
    for event in events:
        ingress.append([event])
    return [event.event_id for event in events]


def read(ingress: Ingress, batch: int = 100, pending: bool = False) -> list:
    return ingress.read([SHARD], batch, pending).get(SHARD, [])


def ids(entries: list) -> list[str]:
    return [entry.fields["eventId"] for entry in entries]
