"""Critical events reach connected people in time whatever one thing is down (P5), and ring once.

Two web processes, a screen at each; what is asked at one must be heard at both. The goal is two
seconds; the bound here has slack for a busy machine, and the figures are in the log
(`--log-cli-level=info`).
"""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from app.domain.errors import Unavailable
from app.domain.events import Event, Kind
from app.wiring import new_id
from infra.services import Services
from tests.outside import Person, Screen
from tests.services.crew import NAMES, START_SECONDS, until
from tests.services.town import Town

pytestmark = [pytest.mark.service, pytest.mark.slow]
log = logging.getLogger(__name__)
SLACK_SECONDS = 4.0


class Ann:
    """Somebody with a screen at each web process."""

    def __init__(self, town: Town) -> None:
        self.town = town
        (self.person,) = town.people("Ann")
        self.screens: list[Screen] = [one.screen() for one in town.both(self.person)]

    def codes(self, screen: Screen) -> list[str]:
        return [one["id"] for one in screen.of("notification") if one["type"] == "OTP"]

    def waits_for_more(self, before: list[int]) -> None:
        for screen, count in zip(self.screens, before, strict=True):
            screen.until(lambda s=screen, c=count: len(self.codes(s)) > c, "the code", 20.0)

    def asks(self, of: Person | None = None) -> float:
        """For a code; how long until both screens have it."""
        before = [len(self.codes(screen)) for screen in self.screens]
        began = time.monotonic()
        (of or self.person).asks("POST", "/api/auth/otp/request", {})
        self.waits_for_more(before)
        return time.monotonic() - began


@pytest.fixture
def ann(town: Town) -> Iterator[Ann]:
    for name in NAMES:
        member = town.stage.crew.members[name]
        until(lambda m=member: town.stage.crew.lives(m), START_SECONDS, f"{name} lives")
    one = Ann(town)
    yield one
    for screen in one.screens:
        screen.drop()


@contextmanager
def broken(services: Services, name: str, how: str) -> Iterator[None]:
    (services.kill if how == "killed" else services.pause)(name)
    try:
        yield
    finally:
        if how == "frozen":
            services.resume(name)
        services.start(name)


def rang_once(ann: Ann, codes: int) -> None:
    """All copies have come by now, and each screen has each code once."""
    stage = ann.town.stage

    def lanes_are_empty() -> bool:
        try:
            return not stage._lag()
        except Unavailable:  # a Kafka that has just come back loads its groups
            return False

    until(lanes_are_empty, 60.0, "the lanes are empty")
    rows = "select count(*) from {} where {}"
    for waiting in (("kafka_fallback_queue", "not processed"), ("outbox", "published_at is null")):
        query = rows.format(*waiting)
        until(lambda q=query: stage.rows(q) == [(0,)], 60.0, f"{waiting[0]} is empty")
    for screen in ann.screens:
        assert list(Counter(ann.codes(screen)).values()) == [1] * codes
        assert screen.seqs == sorted(set(screen.seqs))


def test_while_all_is_well_a_code_is_there_within_a_second(ann: Ann) -> None:
    took = sorted(ann.asks() for _ in range(20))

    log.info(f"asked to both screens: median {took[10]:.3f} s, slowest of 20 {took[-1]:.3f} s")
    assert took[10] < 1.0
    assert took[-1] < SLACK_SECONDS
    rang_once(ann, 20)


@pytest.mark.parametrize("how", ["killed", "frozen"])
@pytest.mark.parametrize("name", ["redis", "kafka", "dynamodb"])
def test_without_a_service(ann: Ann, services: Services, name: str, how: str) -> None:
    with broken(services, name, how):
        took = [ann.asks(), ann.asks(), ann.asks()]
        outbox = services.layout.data_dir / "outbox"
        letters = [
            outbox / f"{code}-1{kind}"
            for code in ann.codes(ann.screens[0])
            for kind in (".eml", ".json")
        ]
        until(lambda: all(one.exists() for one in letters), 20.0, "e-mails and text messages")

    log.info(f"{name} {how}: {[round(one, 3) for one in took]} s")
    assert max(took) < SLACK_SECONDS
    rang_once(ann, 3)


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_what_postgresql_took_before_it_went_is_in_time(
    ann: Ann, services: Services, how: str
) -> None:
    """And what it cannot take is refused in time."""
    before = [len(ann.codes(screen)) for screen in ann.screens]
    began = time.monotonic()
    ann.person.asks("POST", "/api/auth/otp/request", {})
    with broken(services, "postgres", how):
        ann.waits_for_more(before)
        took = time.monotonic() - began
        refused = time.monotonic()
        answer = ann.person.call("POST", "/api/auth/otp/request", {})
        refused = time.monotonic() - refused

    log.info(f"postgres {how}: {took:.3f} s, and {answer.status} in {refused:.3f} s")
    assert took < SLACK_SECONDS
    assert answer.status == 503
    assert "Retry-After" in answer.headers
    assert refused < SLACK_SECONDS
    ann.town.stage.engine.dispose()
    until(lambda: ann.person.call("POST", "/api/auth/otp/request", {}).status == 200, 20, "back")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("name", NAMES)
def test_without_a_worker(ann: Ann, name: str, how: signal.Signals) -> None:
    crew = ann.town.stage.crew
    member = crew.members[name]
    os.kill(member.process.pid, how)
    try:
        took = ann.asks()
    finally:
        if how is signal.SIGKILL:
            member.process.wait(10)
            crew.hire(name)
        else:
            os.kill(member.process.pid, signal.SIGCONT)

    log.info(f"{name} {how.name}: {took:.3f} s")
    assert took < SLACK_SECONDS


def test_a_table_that_stands_still_delays_no_alarm(ann: Ann) -> None:
    """As when a flusher is frozen in the middle of this person's likes. The provisional frame and
    the one that follows are the same to a client: id and version agree."""
    stage = ann.town.stage
    with stage.engine.begin() as sql:
        lock = text("select 1 from users where id = :id for no key update")
        sql.execute(lock, {"id": ann.person.id})
        took = ann.asks()
        early = ann.screens[0].of("notification")[-1]
    log.info(f"row locked: {took:.3f} s")
    assert took < SLACK_SECONDS
    assert "seq" not in early

    for screen in ann.screens:
        screen.until(lambda s=screen: len(ann.codes(s)) == 2, "the numbered frame", 60)
        first, second = screen.of("notification")
        assert {name: second[name] for name in first if name != "timestamp"} == {
            name: first[name] for name in first if name != "timestamp"
        }
        assert isinstance(second["seq"], int)


def test_an_alarm_without_postgresql_waits_in_redis_and_is_told_at_once(
    ann: Ann, services: Services
) -> None:
    stage = ann.town.stage
    event = Event(new_id(), Kind.SECURITY_ALERT, ann.person.id, message="Was this you?")

    def alarms(screen: Screen) -> list[tuple[str, int, bool]]:
        told = [one for one in screen.of("notification") if one["type"] == "SECURITY_ALERT"]
        return [(one["id"], one["version"], "seq" in one) for one in told]

    with broken(services, "postgres", "killed"):
        stage.parts.actions.raise_event(event)
        for screen in ann.screens:
            screen.until(lambda s=screen: alarms(s) == [(event.event_id, 1, False)], "early", 10)

    stage.engine.dispose()
    for screen in ann.screens:
        screen.until(lambda s=screen: len(alarms(s)) == 2, "the numbered frame", 60)
        assert alarms(screen)[1] == (event.event_id, 1, True)
