"""Fixtures: sample users in PostgreSQL and an in-memory Kafka."""

import pytest
from sqlalchemy import Engine

from tests.support.fakes import MemoryKafka
from tests.support.fixtures import SampleUsers, insert_sample_users


@pytest.fixture
def sample_users(engine: Engine) -> SampleUsers:
    return insert_sample_users(engine)


@pytest.fixture
def memory_kafka() -> MemoryKafka:
    return MemoryKafka()
