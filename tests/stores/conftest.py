"""The ledger on real tables, with the cast on the stage."""

import pytest
from sqlalchemy import Engine

from tests.cast import assemble
from tests.stores.books import Books


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine, assemble(engine))
