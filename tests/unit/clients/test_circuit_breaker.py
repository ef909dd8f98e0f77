"""Circuit breakers: when they open, what counts as a failure, and how they close again."""

from collections.abc import Callable
from types import SimpleNamespace

import gevent
import pytest

from app.clients import circuit_breaker
from app.clients.circuit_breaker import Breaker
from app.domain.errors import RedisUnavailable, Rejected, Unavailable
from harness.waiting import poll_until
from tests.support.fakes import ManualClock

RESET_SECONDS, PROBE_TIMEOUT_SECONDS = 60.0, 10.0


def is_failure(exc: BaseException) -> bool:
    return isinstance(exc, TimeoutError)


def call(breaker: Breaker, action: Callable[[], object] = lambda: None) -> str:
    """Returns "done", or the name of the error's class."""
    try:
        with breaker.guard_call(is_failure):
            action()
    except Exception as exc:
        return type(exc).__name__
    return "done"


def time_out() -> None:
    raise TimeoutError


def reject() -> None:
    raise Rejected("not like this")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    monkeypatch.setattr(circuit_breaker, "time", SimpleNamespace(monotonic=clock.now))
    return clock


def open_breaker() -> Breaker:
    breaker = Breaker("redis", 1, RESET_SECONDS, PROBE_TIMEOUT_SECONDS)
    call(breaker, time_out)
    assert breaker.state == "open"
    return breaker


@pytest.fixture
def half_open_breaker(clock: ManualClock) -> Breaker:
    breaker = open_breaker()
    clock.advance(RESET_SECONDS)
    assert breaker.state == "half-open"
    return breaker


def test_consecutive_failures_open_the_breaker() -> None:
    breaker = Breaker("redis", failure_threshold=3, reset_seconds=60)

    results = [call(breaker, time_out) for _ in range(4)]

    assert results == ["TimeoutError"] * 3 + ["Unavailable"]


def test_success_between_failures_keeps_the_breaker_closed() -> None:
    breaker = Breaker("redis", failure_threshold=2, reset_seconds=60)

    for action in (time_out, lambda: None, time_out):
        call(breaker, action)

    assert breaker.state == "closed"


def test_error_of_the_caller_counts_neither_as_success_nor_failure() -> None:
    breaker = Breaker("redis", failure_threshold=2, reset_seconds=60)

    for action in (time_out, reject, time_out):
        call(breaker, action)

    assert breaker.state == "open"


def test_closed_breaker_allows_concurrent_calls() -> None:
    breaker, release = Breaker("redis"), gevent.event.Event()

    greenlets = [gevent.spawn(call, breaker, release.wait) for _ in range(50)]
    gevent.sleep(0)
    release.set()

    assert [greenlet.get(timeout=5) for greenlet in greenlets] == ["done"] * 50


def test_half_open_breaker_allows_one_call(half_open_breaker: Breaker) -> None:
    release = gevent.event.Event()
    probe = gevent.spawn(call, half_open_breaker, release.wait)
    gevent.sleep(0)
    other_results = [call(half_open_breaker) for _ in range(3)]
    release.set()

    assert (probe.get(timeout=5), other_results) == ("done", ["Unavailable"] * 3)
    assert half_open_breaker.state == "closed"


def test_failed_probe_opens_the_breaker_again(half_open_breaker: Breaker) -> None:
    assert [call(half_open_breaker, time_out), call(half_open_breaker)] == ["TimeoutError", "Unavailable"]


def test_another_call_probes_after_one_that_never_returns(
    half_open_breaker: Breaker, clock: ManualClock
) -> None:
    release = gevent.event.Event()
    stuck = gevent.spawn(call, half_open_breaker, release.wait)
    gevent.sleep(0)

    assert call(half_open_breaker) == "Unavailable"
    clock.advance(PROBE_TIMEOUT_SECONDS)
    assert call(half_open_breaker, time_out) == "TimeoutError"
    release.set()

    assert (stuck.get(timeout=5), half_open_breaker.state) == ("done", "open")  # its result came too late


def test_late_result_of_an_earlier_call_is_ignored() -> None:
    breaker, release = Breaker("redis", failure_threshold=1, reset_seconds=60), gevent.event.Event()
    late_call = gevent.spawn(call, breaker, release.wait)
    gevent.sleep(0)

    call(breaker, time_out)
    release.set()

    assert (late_call.get(timeout=5), breaker.state) == ("done", "open")


def test_probe_with_caller_error_lets_the_next_call_probe(half_open_breaker: Breaker) -> None:
    assert [call(half_open_breaker, reject), call(half_open_breaker)] == ["Rejected", "done"]


@pytest.mark.parametrize("error_class", [TimeoutError, ConnectionRefusedError, ValueError])
def test_background_ping_closes_the_breaker_without_risking_a_call(
    monkeypatch: pytest.MonkeyPatch, error_class: type[Exception]
) -> None:
    monkeypatch.setattr("app.clients.circuit_breaker.PING_INTERVAL_SECONDS", 0.01)
    pending_errors: list[Exception | None] = [error_class(), error_class(), None]

    def ping() -> None:
        error = pending_errors.pop(0)
        if error is not None:
            raise error

    breaker = Breaker("redis", failure_threshold=1, reset_seconds=0.01)
    breaker.set_probe(ping)
    call(breaker, time_out)

    def is_closed() -> bool:
        call(breaker)
        gevent.sleep(0.001)  # zero would look at timers only after fifty calls
        return breaker.state == "closed"

    assert poll_until(is_closed)
    assert pending_errors == []


def test_breaker_error_names_the_service_and_has_retry_after() -> None:
    with pytest.raises(Unavailable) as error:
        open_breaker().admit_call()

    assert error.value.code == "redis_unavailable"


def test_open_breaker_of_redis_raises_the_error_that_allows_a_failover_write() -> None:
    circuit_breaker.REDIS.set_limits_and_reset(failure_threshold=1, reset_seconds=60)
    call(circuit_breaker.REDIS, time_out)

    with pytest.raises(RedisUnavailable):
        circuit_breaker.REDIS.admit_call()
