"""Fixture: an event writer on a real database with the sample users."""

import pytest
from sqlalchemy import Engine

from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import insert_sample_users


@pytest.fixture
def event_writer_harness(engine: Engine) -> EventWriterHarness:
    return EventWriterHarness(engine, insert_sample_users(engine))
