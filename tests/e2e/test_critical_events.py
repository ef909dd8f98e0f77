"""Critical events reach connected users in time and exactly once while one service or worker is down (P5).

The user has a tab at each of two web processes. The goal is two seconds; the limit here allows for a busy
machine. The measured times are in the log (`--log-cli-level=info`).
"""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy import text

from app.bootstrap import new_id
from app.domain.errors import Unavailable
from app.domain.events import Event, Kind
from harness.waiting import wait_until
from infra.services import EmbeddedServices
from tests.support.cluster import WebCluster, outage
from tests.support.http_client import BrowserTab
from tests.support.processes import PROCESS_NAMES, START_TIMEOUT_SECONDS

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit]
log = logging.getLogger(__name__)
MAX_DELAY_SECONDS = 4.0


class TwoTabUser:
    """A user with a tab at each web process."""

    def __init__(self, cluster: WebCluster) -> None:
        self.cluster = cluster
        (self.user,) = cluster.register_clients("Ann")
        self.tabs: list[BrowserTab] = [client.open_tab() for client in cluster.client_per_process(self.user)]

    def code_ids(self, tab: BrowserTab) -> list[str]:
        return [event["id"] for event in tab.data_of("notification") if event["type"] == "OTP"]

    def wait_for_next_code(self, counts_before: list[int]) -> None:
        for tab, count in zip(self.tabs, counts_before, strict=True):
            tab.wait_until(partial(self.has_more_codes, tab, count), "the code", 20.0)

    def has_more_codes(self, tab: BrowserTab, count: int) -> bool:
        return len(self.code_ids(tab)) > count

    def request_code(self) -> float:
        """Returns the seconds until both tabs have the code."""
        counts_before = [len(self.code_ids(tab)) for tab in self.tabs]
        started_at = time.monotonic()
        self.user.request_ok("POST", "/api/auth/otp/request", {})
        self.wait_for_next_code(counts_before)
        return time.monotonic() - started_at


@pytest.fixture
def user_with_two_tabs(cluster: WebCluster) -> Iterator[TwoTabUser]:
    for name in PROCESS_NAMES:
        worker = cluster.scenario.processes.process_by_name[name]
        wait_until(
            partial(cluster.scenario.processes.has_heartbeat, worker),
            f"the first heartbeat of {name}",
            START_TIMEOUT_SECONDS,
        )
    user = TwoTabUser(cluster)
    yield user
    for tab in user.tabs:
        tab.disconnect()


def assert_announced_once(user_with_two_tabs: TwoTabUser, code_count: int) -> None:
    """Waits until nothing is pending, then checks that each tab has each code once."""
    scenario = user_with_two_tabs.cluster.scenario

    def has_no_lag() -> bool:
        try:
            return not scenario._consumer_lag()
        except Unavailable:  # Kafka has just started and still loads its groups
            return False

    wait_until(has_no_lag, "no consumer lag", 60.0)
    pending = (
        "select (select count(*) from kafka_fallback_queue where not processed) "
        "+ (select count(*) from outbox where published_at is null)"
    )
    wait_until(lambda: scenario.query(pending) == [(0,)], "an empty fallback queue and outbox", 60.0)
    for tab in user_with_two_tabs.tabs:
        assert list(Counter(user_with_two_tabs.code_ids(tab)).values()) == [1] * code_count
        assert tab.client_seqs == sorted(set(tab.client_seqs))


def test_code_arrives_within_a_second_when_all_services_run(user_with_two_tabs: TwoTabUser) -> None:
    delays = sorted(user_with_two_tabs.request_code() for _ in range(20))

    log.info(f"request to both tabs: median {delays[10]:.3f} s, slowest of 20 {delays[-1]:.3f} s")
    assert delays[10] < 1.0
    assert delays[-1] < MAX_DELAY_SECONDS
    assert_announced_once(user_with_two_tabs, 20)


@pytest.mark.parametrize("fault", ["killed", "frozen"])
@pytest.mark.parametrize("name", ["redis", "kafka", "dynamodb"])
def test_code_arrives_while_one_service_is_unavailable(
    user_with_two_tabs: TwoTabUser, services: EmbeddedServices, name: str, fault: str
) -> None:
    with outage(services, name, fault):
        delays = [user_with_two_tabs.request_code() for _ in range(3)]
        outbox = services.paths.data_dir / "outbox"
        message_files = [
            outbox / f"{code}-1{suffix}"
            for code in user_with_two_tabs.code_ids(user_with_two_tabs.tabs[0])
            for suffix in (".eml", ".json")
        ]
        wait_until(lambda: all(file.exists() for file in message_files), "e-mails and text messages", 20.0)

    log.info(f"{name} {fault}: {[round(delay, 3) for delay in delays]} s")
    assert max(delays) < MAX_DELAY_SECONDS
    assert_announced_once(user_with_two_tabs, 3)


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_code_written_before_a_postgresql_outage_arrives_in_time(
    user_with_two_tabs: TwoTabUser, services: EmbeddedServices, fault: str
) -> None:
    """A request during the outage is refused in time."""
    counts_before = [len(user_with_two_tabs.code_ids(tab)) for tab in user_with_two_tabs.tabs]
    started_at = time.monotonic()
    user_with_two_tabs.user.request_ok("POST", "/api/auth/otp/request", {})
    with outage(services, "postgres", fault):
        user_with_two_tabs.wait_for_next_code(counts_before)
        delay = time.monotonic() - started_at
        refused_at = time.monotonic()
        response = user_with_two_tabs.user.request("POST", "/api/auth/otp/request", {})
        refusal_seconds = time.monotonic() - refused_at

    log.info(f"postgres {fault}: {delay:.3f} s, and {response.status} in {refusal_seconds:.3f} s")
    assert delay < MAX_DELAY_SECONDS
    assert response.status == 503
    assert "Retry-After" in response.headers
    assert refusal_seconds < MAX_DELAY_SECONDS
    user_with_two_tabs.cluster.scenario.engine.dispose()
    wait_until(
        lambda: user_with_two_tabs.user.request("POST", "/api/auth/otp/request", {}).status == 200,
        "the recovery",
        20,
    )


@pytest.mark.parametrize("fault", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.drill)])
@pytest.mark.parametrize("name", PROCESS_NAMES)
def test_code_arrives_while_a_worker_is_stopped(
    user_with_two_tabs: TwoTabUser, name: str, fault: signal.Signals
) -> None:
    processes = user_with_two_tabs.cluster.scenario.processes
    worker = processes.process_by_name[name]
    os.kill(worker.pid, fault)
    try:
        delay = user_with_two_tabs.request_code()
    finally:
        if fault is signal.SIGKILL:
            worker.wait_for_exit(10)
            processes.start_named(name)
        else:
            os.kill(worker.pid, signal.SIGCONT)

    log.info(f"{name} {fault.name}: {delay:.3f} s")
    assert delay < MAX_DELAY_SECONDS


def test_locked_table_delays_no_security_alert(user_with_two_tabs: TwoTabUser) -> None:
    """A frozen flusher holds such a lock. Preview and stored notification have the same id and version."""
    scenario = user_with_two_tabs.cluster.scenario
    with scenario.engine.begin() as conn:
        lock = text("select 1 from users where id = :id for no key update")
        conn.execute(lock, {"id": user_with_two_tabs.user.id})
        delay = user_with_two_tabs.request_code()
        preview = user_with_two_tabs.tabs[0].data_of("notification")[-1]
    log.info(f"row locked: {delay:.3f} s")
    assert delay < MAX_DELAY_SECONDS
    assert "seq" not in preview

    for tab in user_with_two_tabs.tabs:
        tab.wait_until(partial(user_with_two_tabs.has_more_codes, tab, 1), "the stored notification", 60)
        first, second = tab.data_of("notification")
        assert {name: second[name] for name in first if name != "timestamp"} == {
            name: first[name] for name in first if name != "timestamp"
        }
        assert isinstance(second["seq"], int)


def test_security_alert_without_postgresql_waits_in_redis_and_is_announced_at_once(
    user_with_two_tabs: TwoTabUser, services: EmbeddedServices
) -> None:
    scenario = user_with_two_tabs.cluster.scenario
    event = Event(new_id(), Kind.SECURITY_ALERT, user_with_two_tabs.user.id, message="Was this you?")

    def alerts(tab: BrowserTab) -> list[tuple[str, int, bool]]:
        return [
            (data["id"], data["version"], "seq" in data)
            for data in tab.data_of("notification")
            if data["type"] == "SECURITY_ALERT"
        ]

    with outage(services, "postgres", "killed"):
        scenario.services.actions.publish_event(event)
        for tab in user_with_two_tabs.tabs:
            tab.wait_until(lambda s=tab: bool(alerts(s) == [(event.event_id, 1, False)]), "the preview", 10)

    scenario.engine.dispose()
    for tab in user_with_two_tabs.tabs:
        tab.wait_until(lambda s=tab: len(alerts(s)) == 2, "the stored notification", 60)
        assert alerts(tab)[1] == (event.event_id, 1, True)
