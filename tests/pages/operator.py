"""What the operator's screens need besides: an administrator, and windows that stay open.

admin          somebody with the role
tables         PostgreSQL, to look into
long_windows   the aggregator opens windows of ten minutes, until the test ends; who needs their end
               flushes them
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from tests.pages.conftest import Meet
from tests.pages.person import Person
from tests.pages.site import Site


@pytest.fixture
def admin(person: Meet, _engine: Engine) -> Person:
    found = person("Olga")
    with _engine.begin() as sql:
        sql.execute(text("update users set role = 'admin' where id = :id"), {"id": found.id})
    return found


@pytest.fixture
def tables(_engine: Engine) -> Engine:
    """As they are; the site goes on."""
    return _engine


@pytest.fixture
def long_windows(site: Site, admin: Person) -> Iterator[None]:
    long = {"AGGREGATION_WINDOW_SECONDS": "600", "AGGREGATION_JITTER_SECONDS": "0"}
    site.crew.replace("aggregator", **long)
    yield
    site.crew.replace("aggregator")
    admin.call("POST", "/api/admin/windows/flush")
