"""Fixtures of the harnesses."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine

from app.clients.pg_notify import PgNotifyListener
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import SampleUsers, insert_sample_users
from tests.support.pipeline_harness import pipeline, worker_services
from tests.support.redis_failover_harness import failover

__all__ = ["failover", "pipeline", "worker_services"]


@pytest.fixture
def listen(environment: dict[str, str]) -> Iterator[Callable[[str], PgNotifyListener]]:
    """Begins to listen to a channel of PostgreSQL."""
    with ExitStack() as listeners:

        def listen(channel: str) -> PgNotifyListener:
            listener = PgNotifyListener(environment["DATABASE_URL"], channel)
            listeners.callback(listener.close)
            listener.wait_for_payloads(0)
            return listener

        yield listen


@pytest.fixture
def sample_users(engine: Engine) -> SampleUsers:
    return insert_sample_users(engine)


@pytest.fixture
def writer(engine: Engine, sample_users: SampleUsers) -> EventWriterHarness:
    """The event writer on empty tables with the sample users."""
    return EventWriterHarness(engine, sample_users)
