"""Outages in the log: a line at the start, one a minute, one at the end."""

import io
import logging
from collections.abc import Iterator

import gevent
import pytest
from kafka.errors import KafkaConnectionError

from app import log_config
from app.clients import circuit_breaker
from app.clients.circuit_breaker import Breaker
from app.clients.outage_log import MAX_FAILURE_KINDS, Outage
from app.domain.errors import Unavailable
from harness.waiting import poll_until
from tests.support.fakes import ManualClock


class CapturedLogLines:
    """The messages of all lines that the handler of app/log_config.py wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def __call__(self) -> list[str]:
        return [line.split(": ", 1)[1] for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[CapturedLogLines]:
    log_lines, handler, root = (
        CapturedLogLines(),
        log_config.create_log_handler(as_text=True),
        logging.getLogger(),
    )
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(log_lines.stream)
    handlers_before, level_before = root.handlers, root.level
    root.handlers, root.level = [handler], logging.INFO
    yield log_lines
    root.handlers, root.level = handlers_before, level_before


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def outage(clock: ManualClock) -> Outage:
    return Outage("kafka", now=clock.now)


def fail_repeatedly(outage: Outage, clock: ManualClock, seconds: int, failures_per_second: int = 10) -> None:
    for _ in range(seconds):
        for _ in range(failures_per_second):
            outage.record_failure("connection refused")
        clock.advance(1)
        outage.log_progress()


def test_first_failure_is_logged_and_the_next_hundred_are_not(
    log_lines: CapturedLogLines, clock: ManualClock, outage: Outage
) -> None:
    fail_repeatedly(outage, clock, seconds=10)

    assert log_lines() == ["Outage begins [kafka]: connection refused"]


def test_long_outage_is_logged_once_a_minute_with_the_suppressed_count(
    log_lines: CapturedLogLines, clock: ManualClock, outage: Outage
) -> None:
    fail_repeatedly(outage, clock, seconds=150)

    assert log_lines()[1:] == [
        "Outage goes on [kafka]: 60 s, 600 failures: 600 x connection refused",
        "Outage goes on [kafka]: 120 s, 1200 failures: 1200 x connection refused",
    ]


def test_end_of_an_outage_is_logged_after_a_success_without_further_failure(
    log_lines: CapturedLogLines, clock: ManualClock, outage: Outage
) -> None:
    fail_repeatedly(outage, clock, seconds=10)
    outage.record_success()
    for _ in range(10):
        clock.advance(1)
        outage.log_progress()

    assert log_lines()[1:] == ["Outage is over [kafka]: 10 s, 100 failures: 100 x connection refused"]
    assert not outage.is_ongoing


def test_failure_between_two_successes_belongs_to_the_same_outage(
    log_lines: CapturedLogLines, clock: ManualClock, outage: Outage
) -> None:
    """As while one of three brokers is unavailable: some calls fail, others succeed."""
    for _ in range(60):
        outage.record_failure("broker 2 refused the connection")
        outage.record_success()
        clock.advance(1)
        outage.log_progress()

    assert [line.partition(" [")[0] for line in log_lines()] == ["Outage begins", "Outage goes on"]


def test_outage_without_success_ends_after_a_minute_without_failure(
    log_lines: CapturedLogLines, clock: ManualClock, outage: Outage
) -> None:
    outage.record_failure("the mail server timed out")
    for _ in range(61):
        clock.advance(1)
        outage.log_progress()

    assert [line.partition(" [")[0] for line in log_lines()] == ["Outage begins", "Outage is over"]


def test_next_outage_is_logged_from_the_start(
    log_lines: CapturedLogLines, clock: ManualClock, outage: Outage
) -> None:
    for _ in range(2):
        outage.record_failure("connection refused")
        outage.record_success()
        clock.advance(10)
        outage.log_progress()

    assert [line.partition(" [")[0] for line in log_lines()] == [
        "Outage begins",
        "Outage is over",
    ] * 2


def test_number_of_error_kinds_is_limited(
    log_lines: CapturedLogLines, clock: ManualClock, outage: Outage
) -> None:
    for number in range(10 * MAX_FAILURE_KINDS):
        outage.record_failure(f"failure {number}")
    clock.advance(60)
    outage.log_progress()

    assert f"{10 * MAX_FAILURE_KINDS} failures: {9 * MAX_FAILURE_KINDS} x other" in log_lines()[1]


def test_unknown_error_in_an_outage_is_logged_with_traceback_once(
    log_lines: CapturedLogLines, outage: Outage
) -> None:
    outage.record_failure("connection refused")
    for _ in range(3):
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as exc:
            outage.record_failure("a bug", "a bug", exc)

    assert log_lines.stream.getvalue().count("Traceback") == 1


def test_client_library_errors_are_counted_in_the_outage(log_lines: CapturedLogLines) -> None:
    library = logging.getLogger("kafka.net.manager")
    for _ in range(300):
        library.error("Connection failed: %s", KafkaConnectionError("refused"))
        logging.getLogger("kafka.cluster").error("Metadata refresh: failed")

    assert len(log_lines()) == 1
    assert log_lines()[0].startswith("Outage begins [kafka]: kafka.net.manager: Connection failed")


@pytest.mark.parametrize("service", ["redis", "postgres", "kafka", "dynamodb", "smtp"])
def test_own_log_lines_about_an_unavailable_service_are_counted_in_its_outage(
    log_lines: CapturedLogLines, service: str
) -> None:
    for _ in range(300):
        exc = Unavailable("It timed out", f"{service}_unavailable")
        logging.getLogger("app.social").warning("Counts come from PostgreSQL: %s", exc)
        logging.getLogger("blueprints").info("Temporarily unavailable: %s", exc)

    assert len(log_lines()) == 1
    assert f"Outage begins [{service}]" in log_lines()[0]


def test_failures_are_summarised_without_the_placeholders_of_their_arguments(
    log_lines: CapturedLogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.clients.outage_log.LOG_INTERVAL_SECONDS", 0.0)
    for _ in range(3):
        exc = Unavailable("It timed out", "redis_unavailable")
        logging.getLogger("app.social").warning("Retry in %.1f s: %s", 0.5, exc)
    outage = circuit_breaker.outage_for_error_code("redis_unavailable")
    assert outage is not None

    outage.log_progress()

    assert "3 x app.social: Retry in ... s: ..." in log_lines()[-1]


def test_error_outside_an_outage_is_logged_by_itself(log_lines: CapturedLogLines) -> None:
    for _ in range(3):
        logging.getLogger("blueprints").warning("Refused: %s", Unavailable("In use", "busy"))

    assert log_lines() == ["Refused: In use"] * 3


def test_unexpected_error_of_a_client_library_keeps_its_traceback(
    log_lines: CapturedLogLines,
) -> None:
    library = logging.getLogger("kafka.net.selector")
    library.error("Connection failed: %s", KafkaConnectionError("refused"))
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        library.exception("Unhandled exception in task")

    assert "ZeroDivisionError" in log_lines.stream.getvalue()


def test_debug_level_logs_every_failure(log_lines: CapturedLogLines) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    for _ in range(3):
        logging.getLogger("kafka.net.manager").error("Connection failed")

    assert log_lines().count("Connection failed") == 3


def test_outage_without_calls_is_probed_until_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after a lost connection of a consumer while nothing is published."""
    monkeypatch.setattr("app.clients.circuit_breaker.PING_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr("app.clients.outage_log.CHECK_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr("app.clients.outage_log.RECOVERED_AFTER_SECONDS", 0.05)
    breaker, pending_errors = Breaker("kafka", failure_threshold=1000), [OSError(), OSError()]

    def ping() -> None:
        if pending_errors:
            raise pending_errors.pop()

    def is_over() -> bool:
        gevent.sleep(0.001)
        return not breaker.outage.is_ongoing

    breaker.set_probe(ping)
    breaker.outage.record_failure("connection lost")

    assert poll_until(is_over, timeout_seconds=5)
    assert (breaker.state, pending_errors) == ("closed", [])
