"""The cast on the stage, and a broker in memory."""

import pytest
from sqlalchemy import Engine

from tests.cast import Cast, assemble
from tests.fakes import MemoryKafka


@pytest.fixture
def cast(engine: Engine) -> Cast:
    return assemble(engine)


@pytest.fixture
def broker() -> MemoryKafka:
    return MemoryKafka()
