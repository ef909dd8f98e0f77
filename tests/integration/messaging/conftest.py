"""Fixtures: sample users in PostgreSQL and an in-memory Kafka."""

import pytest

from tests.support.fakes import MemoryKafka


@pytest.fixture
def memory_kafka() -> MemoryKafka:
    return MemoryKafka()
