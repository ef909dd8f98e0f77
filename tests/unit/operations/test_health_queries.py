"""Queries of health: time limits, shared answers and errors. No services."""

import logging

import gevent
import pytest
from gevent.event import Event

from app.domain.errors import Unavailable
from app.operations.health.queries import Query, run_queries


def test_query_that_hangs_does_not_hide_the_others() -> None:
    hanging = Query("redis", Event().wait, timeout_seconds=0.1)
    healthy = Query("kafka", lambda: "measured", timeout_seconds=0.1)

    hanging_answer, healthy_answer = run_queries([hanging, healthy], 5.0)

    assert (hanging_answer.code, hanging_answer.value) == ("timeout", None)
    assert (healthy_answer.code, healthy_answer.value) == ("", "measured")


def test_report_with_a_shorter_limit_does_not_wait_for_the_query() -> None:
    query = Query("redis", Event().wait, timeout_seconds=5.0)

    (answer,) = run_queries([query], 0.05)

    assert answer.code == "timeout"
    gevent.kill(query.start())


def test_unavailable_service_is_an_answer_with_its_code() -> None:
    def fail() -> None:
        raise Unavailable("Kafka refused the log-in", "kafka_authentication") from ConnectionError("x")

    (answer,) = run_queries([Query("kafka", fail, 1.0)], 1.0)

    assert (answer.code, answer.reason) == (
        "kafka_authentication",
        "Kafka refused the log-in (ConnectionError)",
    )


def test_unexpected_error_is_logged_and_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise KeyError("a bug")

    with caplog.at_level(logging.ERROR):
        (answer,) = run_queries([Query("redis", fail, 1.0)], 1.0)

    assert (answer.code, answer.reason) == ("check_failed", "KeyError")
    assert "A query of redis failed" in caplog.text


def test_callers_at_the_same_time_share_one_read() -> None:
    calls: list[int] = []

    def read() -> int:
        calls.append(1)
        gevent.sleep(0.01)
        return len(calls)

    query = Query("redis", read, 1.0)
    callers = [gevent.spawn(run_queries, [query], 1.0) for _ in range(5)]
    gevent.joinall(callers)

    assert [caller.get()[0].value for caller in callers] == [1] * 5
    assert run_queries([query], 1.0)[0].value == 2


def test_answer_is_kept_for_its_maximum_age() -> None:
    calls: list[int] = []
    query = Query("kafka", lambda: calls.append(1), 1.0, max_age_seconds=60.0)

    run_queries([query], 1.0)
    run_queries([query], 1.0)

    assert len(calls) == 1
