"""Fixtures of the contract tests: Redis of each supported version, and Kafka beside its fake.

`make test` uses the embedded Redis; the other versions run with the marker `drill`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

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

OtherRedisUrl = Callable[[str], str]


@pytest.fixture(scope="session")
def other_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherRedisUrl]:
    """Starts a server of SUPPORTED_SERVERS at its first use."""
    with ExitStack() as running_servers:

        @cache
        def start(name: str) -> str:
            return running_servers.enter_context(redis_server(name, tmp_path_factory.mktemp(name)))

        yield start


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.service),
        *(pytest.param(name, marks=(pytest.mark.service, pytest.mark.drill)) for name in SUPPORTED_SERVERS),
    ]
)
def redis_connection(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """An empty Redis, through the application's client."""
    if request.param == "embedded":
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


@pytest.fixture
def real_kafka_topic(environment: dict[str, str]) -> Iterator[KafkaTopic]:
    kafka_topic = KafkaTopic(tuple(environment["KAFKA_BOOTSTRAP_SERVERS"].split(",")))
    yield kafka_topic
    kafka_topic.close()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.service)])
def kafka_topic(request: pytest.FixtureRequest) -> KafkaTopic | MemoryTopic:
    if request.param == "fake":
        return MemoryTopic()
    kafka_topic: KafkaTopic = request.getfixturevalue("real_kafka_topic")
    return kafka_topic
