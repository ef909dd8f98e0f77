"""The one answer to "can Redis be used?": what fails at once, and what makes data suspect (P7, P11)."""

import pytest
import redis

from app.clients import circuit_breaker, redis_health
from app.clients.circuit_breaker import Breaker
from app.clients.redis import create_redis_client
from app.clients.redis_health import POOL_EXHAUSTED_MESSAGE, RedisHealth
from app.domain.errors import RedisUnavailable, Unavailable

UNREACHABLE_REDIS_URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def health() -> RedisHealth:
    return RedisHealth(Breaker("redis", failure_threshold=3, create_error=RedisUnavailable))


def fail_with(health: RedisHealth, error: Exception) -> Unavailable:
    with pytest.raises(Unavailable) as caught, health.guard_call("read a count"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "code", "makes_data_suspect"),
    [
        (redis.ConnectionError("refused"), "redis_unavailable", True),
        (redis.TimeoutError("timed out"), "redis_unavailable", True),
        (redis.exceptions.BusyLoadingError("loading"), "redis_unavailable", True),
        (redis.exceptions.AuthenticationError("wrong password"), "redis_authentication", False),
        (redis.ConnectionError(POOL_EXHAUSTED_MESSAGE), "redis_busy", False),
        (redis.exceptions.MaxConnectionsError("too many"), "redis_busy", False),
        (redis.exceptions.OutOfMemoryError("full"), "redis_full", False),
    ],
)
def test_each_error_has_a_code_and_only_failures_make_data_suspect(
    health: RedisHealth, error: Exception, code: str, makes_data_suspect: bool
) -> None:
    assert fail_with(health, error).code == code
    assert (health.version > 0) == makes_data_suspect


def test_call_after_a_timeout_is_refused_at_once(health: RedisHealth) -> None:
    fail_with(health, redis.TimeoutError("timed out"))

    with pytest.raises(RedisUnavailable, match="a moment ago"), health.guard_call("read a count"):
        pytest.fail("the call was made")


def test_call_after_a_refused_connection_is_made(health: RedisHealth) -> None:
    fail_with(health, redis.ConnectionError("refused"))

    with health.guard_call("read a count"):
        pass


def test_calls_are_made_again_after_a_while(health: RedisHealth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_health, "REFUSE_AFTER_WAIT_SECONDS", 0.0)
    fail_with(health, redis.TimeoutError("timed out"))

    with health.guard_call("read a count"):
        pass


def test_reads_fail_at_once_after_one_waited_for_a_connection_and_writes_go_on(health: RedisHealth) -> None:
    with pytest.raises(Unavailable), health.guard_read("read counts"):
        raise redis.ConnectionError(POOL_EXHAUSTED_MESSAGE)

    with pytest.raises(Unavailable, match="Too many calls waited"), health.guard_read("read counts"):
        pytest.fail("the call was made")
    with health.guard_call("write"):
        pass


def test_consecutive_failures_open_the_breaker(health: RedisHealth) -> None:
    for _ in range(3):
        fail_with(health, redis.ConnectionError("refused"))

    assert health._breaker.state == circuit_breaker.OPEN
    with pytest.raises(RedisUnavailable), health.guard_call("read a count"):
        pytest.fail("the call was made")


def test_redis_that_does_not_reply_to_a_ping_is_not_answering(health: RedisHealth) -> None:
    assert not health.is_answering(create_redis_client(UNREACHABLE_REDIS_URL))
