"""Breakers: whom they let through, what counts against a service, and how they close again."""

from collections.abc import Callable

import gevent
import pytest

from app.breakers import Breaker
from app.domain.errors import Rejected, Unavailable
from tests.contract.waiting import until


def counts(fault: BaseException) -> bool:
    return isinstance(fault, TimeoutError)


def call(breaker: Breaker, act: Callable[[], object] = lambda: None) -> str:
    """How a call ended: "done", or the fault's class."""
    try:
        with breaker.passage(counts):
            act()
    except Exception as fault:
        return type(fault).__name__
    return "done"


def times_out() -> None:
    raise TimeoutError


def refuses() -> None:
    raise Rejected("not like this")


def opened(**how: float) -> Breaker:
    breaker = Breaker("redis", failures=1, **how)
    call(breaker, times_out)
    assert breaker.state == "open"
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker("redis", failures=3, reset_seconds=60)

    ends = [call(breaker, times_out) for _ in range(4)]

    assert ends == ["TimeoutError"] * 3 + ["Unavailable"]


def test_a_success_between_them_keeps_it_closed() -> None:
    breaker = Breaker("redis", failures=2, reset_seconds=60)

    for act in (times_out, lambda: None, times_out):
        call(breaker, act)

    assert breaker.state == "closed"


def test_a_fault_of_the_call_itself_counts_neither_way() -> None:
    breaker = Breaker("redis", failures=2, reset_seconds=60)

    for act in (times_out, refuses, times_out):
        call(breaker, act)

    assert breaker.state == "open"


def test_many_calls_go_through_at_once_while_it_is_closed() -> None:
    breaker, gate = Breaker("redis"), gevent.event.Event()

    calls = [gevent.spawn(call, breaker, gate.wait) for _ in range(50)]
    assert until(lambda: all(one.started for one in calls))
    gevent.sleep(0)
    gate.set()

    assert [one.get(timeout=5) for one in calls] == ["done"] * 50


def test_half_open_lets_one_call_through() -> None:
    breaker, gate = opened(reset_seconds=0.01), gevent.event.Event()
    assert until(lambda: breaker.state == "half-open")

    probe = gevent.spawn(call, breaker, gate.wait)
    gevent.sleep(0)
    meanwhile = [call(breaker) for _ in range(3)]
    gate.set()

    assert (probe.get(timeout=5), meanwhile) == ("done", ["Unavailable"] * 3)
    assert breaker.state == "closed"


def test_a_probe_that_never_returns_counts_as_failed() -> None:
    breaker = opened(reset_seconds=0.01, probe_seconds=0.05)
    assert until(lambda: breaker.state == "half-open")
    stuck = gevent.spawn(call, breaker, gevent.event.Event().wait)
    gevent.sleep(0.06)

    assert call(breaker) == "Unavailable"  # the one who notices
    assert until(lambda: call(breaker) == "done")
    stuck.kill()


def test_the_late_word_of_an_earlier_call_changes_nothing() -> None:
    breaker, gate = Breaker("redis", failures=1, reset_seconds=60), gevent.event.Event()
    late = gevent.spawn(call, breaker, gate.wait)
    gevent.sleep(0)

    call(breaker, times_out)
    gate.set()

    assert (late.get(timeout=5), breaker.state) == ("done", "open")


def test_a_call_within_the_probe_is_part_of_it() -> None:
    breaker = opened(reset_seconds=0.01)
    assert until(lambda: breaker.state == "half-open")

    assert call(breaker, lambda: call(breaker)) == "done"


def test_a_probe_that_ends_by_its_own_fault_leaves_the_turn_to_the_next() -> None:
    breaker = opened(reset_seconds=0.01)
    assert until(lambda: breaker.state == "half-open")

    assert [call(breaker, refuses), call(breaker)] == ["Rejected", "done"]


@pytest.mark.parametrize("fault", [TimeoutError, ConnectionRefusedError, ValueError])
def test_a_question_of_its_own_closes_it_and_no_call_is_risked(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    monkeypatch.setattr("app.breakers.ASK_EVERY_SECONDS", 0.01)
    answers, asked = [fault(), fault(), None], []

    def ask() -> None:
        answer = answers[len(asked)]
        asked.append(answer)
        if answer is not None:
            raise answer

    breaker = Breaker("redis", failures=1, reset_seconds=0.01)
    breaker.watch(ask)
    call(breaker, times_out)

    ends: list[str] = []
    assert until(lambda: ends.append(call(breaker)) or breaker.state == "closed" or gevent.sleep(0))
    assert len(asked) == 3


def test_a_refusal_names_the_service_and_asks_to_come_back() -> None:
    with pytest.raises(Unavailable) as refused:
        opened(reset_seconds=60).admit()

    assert refused.value.code == "redis_unavailable"
