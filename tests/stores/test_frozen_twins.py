"""Who is frozen in the middle of a transaction keeps its locks for a while, and no longer."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.stores import postgres
from tests.contract.waiting import until

pytestmark = pytest.mark.service
LOCK = text("lock table epochs in exclusive mode nowait")


def is_free(engine: Engine) -> bool:
    try:
        with engine.begin() as sql:
            sql.execute(LOCK)
    except DBAPIError:
        return False
    return True


def test_its_locks_are_given_back_and_it_is_told_so(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    theirs = postgres.engine(url, statement_ms=300)

    frozen = theirs.connect()
    frozen.execute(LOCK)
    assert not is_free(engine)

    assert until(lambda: is_free(engine), 20)

    with pytest.raises(DBAPIError):
        frozen.execute(text("select 1"))
    theirs.dispose()
