"""Fixtures for tests that run on the fake and on the real service, which must behave the same."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import fakeredis
import pytest
import redis
from sqlalchemy import Engine

from app.aggregation.windows import WindowStore
from app.clients import postgres
from app.clients import redis as redis_store
from tests.conftest import empty_redis
from tests.support.brokers import KafkaTopic, MemoryTopic
from tests.support.fakes import ManualClock
from tests.support.partition_harness import PartitionHarness
from tests.support.redis_servers import SUPPORTED_SERVERS, redis_server

REDIS_SERVERS = ["real", *SUPPORTED_SERVERS]
OtherRedisUrl = Callable[[str], str]


@pytest.fixture(scope="session")
def other_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherRedisUrl]:
    """Starts a server of SUPPORTED_SERVERS at its first use."""
    with ExitStack() as running_servers:

        @cache
        def start(name: str) -> str:
            return running_servers.enter_context(redis_server(name, tmp_path_factory.mktemp(name)))

        yield start


@pytest.fixture(params=["fake", *(pytest.param(name, marks=pytest.mark.service) for name in REDIS_SERVERS)])
def redis_connection(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """An empty Redis: fakeredis, or a server of each supported version through the application's client."""
    if request.param == "fake":
        fake_redis = fakeredis.FakeRedis(version=(6, 2), decode_responses=True)
        empty_redis(fake_redis)
        yield fake_redis
        return
    if request.param == "real":
        url = request.getfixturevalue("environment")["REDIS_URL"]
    else:
        url = request.getfixturevalue("other_redis_url")(request.param)
    real_client = redis_store.create_redis_client(url)
    empty_redis(real_client)
    yield real_client
    real_client.connection_pool.disconnect()


@pytest.fixture(scope="session")
def unreachable_engine() -> Engine:
    """An engine without PostgreSQL: every query raises Unavailable."""
    return postgres.create_pg_engine("postgresql://nobody@127.0.0.1:1/nothing")


@pytest.fixture
def window_store(redis_connection: redis.Redis) -> WindowStore:
    return WindowStore(redis_connection)


@pytest.fixture
def partition_harness(window_store: WindowStore) -> PartitionHarness:
    return PartitionHarness(window_store)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def expect_failure_on_fake(
    request: pytest.FixtureRequest, redis_connection: redis.Redis, reason: str
) -> None:
    """Strict: the test fails once the fake behaves like the real service."""
    if isinstance(redis_connection, fakeredis.FakeRedis):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.service)])
def kafka_topic(request: pytest.FixtureRequest) -> Iterator[MemoryTopic | KafkaTopic]:
    if request.param == "fake":
        yield MemoryTopic()
        return
    bootstrap_servers = request.getfixturevalue("environment")["KAFKA_BOOTSTRAP_SERVERS"]
    kafka_topic = KafkaTopic(tuple(bootstrap_servers.split(",")))
    yield kafka_topic
    kafka_topic.close()
