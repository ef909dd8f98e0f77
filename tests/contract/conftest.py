"""One suite, run on the fake and on the real service: the fake is then a fake of something real."""

from collections.abc import Iterator

import fakeredis
import pytest
import redis
from sqlalchemy import Engine

from app.stores import postgres
from app.stores import redis as redis_store
from app.stores.windows import Windows
from tests.conftest import empty_redis
from tests.contract.brokers import Memory, Real
from tests.contract.lane import Lane
from tests.fakes import Clock


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.service)])
def connection(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """An empty Redis, spoken to by our own client where it is the real one."""
    if request.param == "fake":
        fake = fakeredis.FakeRedis(version=(6, 2), decode_responses=True)
        empty_redis(fake)
        yield fake
        return
    request.getfixturevalue("real_redis")
    ours = redis_store.client(request.getfixturevalue("environment")["REDIS_URL"])
    yield ours
    ours.connection_pool.disconnect()


@pytest.fixture(scope="session")
def absent_engine() -> Engine:
    """A PostgreSQL that is not there: whoever asks it anyway gets Unavailable."""
    return postgres.engine("postgresql://nobody@127.0.0.1:1/nothing")


@pytest.fixture
def windows(connection: redis.Redis) -> Windows:
    return Windows(connection)


@pytest.fixture
def lane(windows: Windows) -> Lane:
    return Lane(windows)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fake_is_weaker(request: pytest.FixtureRequest, connection: redis.Redis, reason: str) -> None:
    """Strict: the day the fake is as good as the real one, the test says so."""
    if isinstance(connection, fakeredis.FakeRedis):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.service)])
def kafka(request: pytest.FixtureRequest) -> Iterator[Memory | Real]:
    if request.param == "fake":
        yield Memory()
        return
    servers = request.getfixturevalue("environment")["KAFKA_BOOTSTRAP_SERVERS"]
    real = Real(tuple(servers.split(",")))
    yield real
    real.close()
