"""What an outage leaves in the log: a line at its start, one a minute, one at its end."""

import io
import logging
from collections.abc import Iterator

import gevent
import pytest
from kafka.errors import KafkaConnectionError

from app import breakers, logs
from app.breakers import Breaker
from app.domain.errors import Unavailable
from app.outages import MAX_KINDS, Outage
from tests.contract.waiting import until


class Lines:
    """What is written, by our own handler."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def __call__(self) -> list[str]:
        return [one.split(": ", 1)[1] for one in self.stream.getvalue().splitlines()]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    lines, handler, root = Lines(), logs.handler(as_text=True), logging.getLogger()
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(lines.stream)
    before, level = root.handlers, root.level
    root.handlers, root.level = [handler], logging.INFO
    yield lines
    root.handlers, root.level = before, level


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> Outage:
    return Outage("kafka", now=clock)


def lasts(outage: Outage, clock: Clock, seconds: int, failures_a_second: int = 10) -> None:
    for _ in range(seconds):
        for _ in range(failures_a_second):
            outage.failed("connection refused")
        clock.now += 1
        outage.look()


def test_the_first_failure_is_a_line_and_the_next_hundred_are_none(
    lines: Lines, clock: Clock, outage: Outage
) -> None:
    lasts(outage, clock, seconds=10)

    assert lines() == ["Outage begins [kafka]: connection refused"]


def test_a_long_outage_is_a_line_a_minute_with_what_was_left_out(
    lines: Lines, clock: Clock, outage: Outage
) -> None:
    lasts(outage, clock, seconds=150)

    assert lines()[1:] == [
        "Outage goes on [kafka]: 60 s, 600 failures: 600 x connection refused",
        "Outage goes on [kafka]: 120 s, 1200 failures: 1200 x connection refused",
    ]


def test_its_end_is_a_line_when_nothing_failed_for_a_while_after_an_answer(
    lines: Lines, clock: Clock, outage: Outage
) -> None:
    lasts(outage, clock, seconds=10)
    outage.answered()
    for _ in range(10):
        clock.now += 1
        outage.look()

    assert lines()[1:] == ["Outage is over [kafka]: 10 s, 100 failures: 100 x connection refused"]
    assert not outage.ongoing


def test_a_failure_between_two_answers_is_the_same_outage(
    lines: Lines, clock: Clock, outage: Outage
) -> None:
    """One of three brokers is away: some calls fail, others pass."""
    for _ in range(60):
        outage.failed("broker 2 refuses")
        outage.answered()
        clock.now += 1
        outage.look()

    assert [one.partition(" [")[0] for one in lines()] == ["Outage begins", "Outage goes on"]


def test_without_an_answer_a_minute_without_failures_ends_it(
    lines: Lines, clock: Clock, outage: Outage
) -> None:
    outage.failed("the mail server does not answer")
    for _ in range(61):
        clock.now += 1
        outage.look()

    assert [one.partition(" [")[0] for one in lines()] == ["Outage begins", "Outage is over"]


def test_the_next_outage_begins_anew(lines: Lines, clock: Clock, outage: Outage) -> None:
    for _ in range(2):
        outage.failed("connection refused")
        outage.answered()
        clock.now += 10
        outage.look()

    assert [one.partition(" [")[0] for one in lines()] == ["Outage begins", "Outage is over"] * 2


def test_kinds_of_failures_are_bounded(lines: Lines, clock: Clock, outage: Outage) -> None:
    for number in range(10 * MAX_KINDS):
        outage.failed(f"failure {number}")
    clock.now += 60
    outage.look()

    assert f"{10 * MAX_KINDS} failures: {9 * MAX_KINDS} x other" in lines()[1]


def test_an_unknown_fault_within_an_outage_has_its_traceback_once(
    lines: Lines, outage: Outage
) -> None:
    outage.failed("connection refused")
    for _ in range(3):
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as fault:
            outage.failed("a bug", "a bug", fault)

    assert lines.stream.getvalue().count("Traceback") == 1


@pytest.fixture
def real_outages() -> Iterator[None]:
    yield
    breakers.configure(failures=5, reset_seconds=10)


@pytest.mark.usefixtures("real_outages")
def test_errors_of_a_client_library_are_lines_of_an_outage(lines: Lines) -> None:
    library = logging.getLogger("kafka.net.manager")
    for _ in range(300):
        library.error("Connection failed: %s", KafkaConnectionError("refused"))
        logging.getLogger("kafka.cluster").error("Metadata refresh: failed")

    assert len(lines()) == 1
    assert lines()[0].startswith("Outage begins [kafka]: kafka.net.manager: Connection failed")


@pytest.mark.usefixtures("real_outages")
@pytest.mark.parametrize("service", ["redis", "postgres", "kafka", "dynamodb", "smtp"])
def test_our_own_lines_about_an_unavailable_service_are_lines_of_its_outage(
    lines: Lines, service: str
) -> None:
    for _ in range(300):
        fault = Unavailable("It did not answer in time", f"{service}_unavailable")
        logging.getLogger("app.stores").warning("Counts come from elsewhere: %s", fault)
        logging.getLogger("blueprints").info("Refused for now: %s", fault)

    assert len(lines()) == 1
    assert f"Outage begins [{service}]" in lines()[0]


@pytest.mark.usefixtures("real_outages")
def test_a_refusal_that_is_no_outage_stays_a_line_of_its_own(lines: Lines) -> None:
    for _ in range(3):
        logging.getLogger("blueprints").warning("Refused: %s", Unavailable("In use", "busy"))

    assert lines() == ["Refused: In use"] * 3


@pytest.mark.usefixtures("real_outages")
def test_a_fault_that_a_client_library_does_not_know_keeps_its_traceback(lines: Lines) -> None:
    library = logging.getLogger("kafka.net.selector")
    library.error("Connection failed: %s", KafkaConnectionError("refused"))
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        library.exception("Unhandled exception in task")

    assert "ZeroDivisionError" in lines.stream.getvalue()


@pytest.mark.usefixtures("real_outages")
def test_at_level_debug_every_line_is_there(lines: Lines) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    for _ in range(3):
        logging.getLogger("kafka.net.manager").error("Connection failed")

    assert lines().count("Connection failed") == 3


def test_an_outage_that_no_call_met_is_probed_until_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A consumer's connection is lost, and nothing of ours publishes: who else would ask?"""
    monkeypatch.setattr("app.breakers.ASK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr("app.outages.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("app.outages.QUIET_SECONDS", 0.05)
    breaker, away = Breaker("kafka", failures=1000), [OSError(), OSError()]

    def ask() -> None:
        if away:
            raise away.pop()

    breaker.watch(ask)
    breaker.outage.failed("connection lost")

    assert until(lambda: gevent.sleep(0.001) or not breaker.outage.ongoing, seconds=5)
    assert (breaker.state, away) == ("closed", [])
