"""A process that freezes in a transaction loses its locks after a timeout."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.clients import postgres
from harness.waiting import poll_until

pytestmark = pytest.mark.service
LOCK = text("lock table epochs in exclusive mode nowait")


def is_free(engine: Engine) -> bool:
    try:
        with engine.begin() as conn:
            conn.execute(LOCK)
    except DBAPIError:
        return False
    return True


def test_frozen_session_loses_its_locks_and_gets_an_error(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    frozen_engine = postgres.create_pg_engine(url, statement_timeout_ms=300)

    frozen_connection = frozen_engine.connect()
    frozen_connection.execute(LOCK)
    assert not is_free(engine)

    assert poll_until(lambda: is_free(engine), 20)

    with pytest.raises(DBAPIError):
        frozen_connection.execute(text("select 1"))
    frozen_engine.dispose()
