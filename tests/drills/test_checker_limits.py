"""What the checker tolerates: within the limits of a drill, and on a slow machine."""

from dataclasses import replace

import pytest

from app.devtools.checker.request_log import ACKNOWLEDGED, RETRY_LATER, ReceivedClientEvent, RoomJoin
from drills import read_checks
from tests.drills.consistent_run import LIMITS, ConsistentRun


def test_count_may_fall_by_the_unlikes_between_two_reads() -> None:
    run = ConsistentRun()
    run.add_request("unlike", "ben", "p0", count=0, active=False)
    run.add_request("read", "ann", "p0", count=0, active=False, comments=1)
    run.state.memberships_by_table["likes"]["p0", "ben"] = False
    assert run.check().violations == {}


@pytest.mark.parametrize(
    ("received_at", "is_live", "passes"), [(7.9, True, True), (8.1, True, False), (4.0, False, False)]
)
def test_push_must_resume_five_seconds_after_redis(received_at: float, is_live: bool, passes: bool) -> None:
    run = ConsistentRun()
    run.limits = replace(LIMITS, redis_recovery_times=(1.0, 3.0))
    first_event = ReceivedClientEvent("ben", 2.0, "notification", "before", 1, 1, "LIKE", True)
    run.log.client_events += [
        first_event,
        replace(first_event, received_at=received_at, notification_id="after", client_seq=2, is_live=is_live),
    ]

    assert ("live push" not in run.check().violations) is passes


@pytest.mark.parametrize(("missed_count", "passes"), [(300, False), (301, True)])
def test_client_that_missed_too_much_may_have_to_reload(missed_count: int, passes: bool) -> None:
    run = ConsistentRun()
    run.state.last_client_seq_by_user["ann"] = 5 + missed_count
    run.log.joins.append(RoomJoin("ann", 3.0, "epoch", 5 + missed_count, False, False))

    assert ("sockets" not in run.check().violations) is passes


@pytest.mark.parametrize(("retry_later_count", "passes"), [(1, True), (3, False)])
def test_one_in_fifty_requests_may_be_delayed_if_an_alternative_path_exists(
    retry_later_count: int, passes: bool
) -> None:
    run = ConsistentRun()
    for n in range(100):
        is_delayed = n < retry_later_count
        outcome, status = (RETRY_LATER, 503) if is_delayed else (ACKNOWLEDGED, 200)
        attempt = run.add_request("like", "ben", "p0", outcome, status, count=1, active=True)
        attempt.code, attempt.retry_after = ("busy", "1") if is_delayed else (None, None)
    run.limits = replace(
        LIMITS, retry_later_kinds=frozenset({"like"}), rare_retry_later_kinds=frozenset({"like"})
    )

    assert ("alternative path" not in run.check().violations) is passes


def add_needless_retry_later(run: ConsistentRun) -> None:
    attempt = run.add_request("like", "ben", "p0", RETRY_LATER, 503)
    attempt.code, attempt.retry_after = "busy", "1"


def test_slow_machine_may_delay_one_request_in_a_hundred() -> None:
    run = ConsistentRun()
    for _ in range(100):
        run.add_request("read", "ben", "p0", count=1, active=True, comments=1)
    add_needless_retry_later(run)
    assert list(run.check().violations) == ["responses"]
    run.log.max_timer_delay_seconds = 1.1
    assert run.check().violations == {}
    add_needless_retry_later(run)
    assert list(run.check().violations) == ["responses"]


def test_reads_marked_stale_are_not_violations() -> None:
    run = ConsistentRun()
    run.add_request("read", "ben", "p0", count=0, active=False, comments=0, stale=True)
    assert run.check().violations == {}


def check_recovery_within_ten_seconds(run: ConsistentRun) -> list[str]:
    """Redis recovered at 2.0 s."""
    return read_checks.check_recovery(run.log, (2.0,), 10.0)


def add_like_at(run: ConsistentRun, sent_at: float, latency_seconds: float, stale: bool = False) -> None:
    attempt = run.add_request("like", "ben", "p0", count=1, active=True, stale=stale)
    attempt.sent_at, attempt.answered_at = sent_at, sent_at + latency_seconds


def test_stale_response_soon_after_an_outage_is_allowed() -> None:
    run = ConsistentRun()
    add_like_at(run, 0.5, 0.05)
    add_like_at(run, 5.0, 0.4, stale=True)
    add_like_at(run, 15.0, 0.05)
    assert check_recovery_within_ten_seconds(run) == []


def test_later_stale_response_is_a_violation() -> None:
    run = ConsistentRun()
    add_like_at(run, 15.0, 0.05, stale=True)
    assert check_recovery_within_ten_seconds(run) == [
        "a response was stale 13.1 s after the recovery of Redis"
    ]


def test_slow_writes_after_an_outage_are_a_violation() -> None:
    run = ConsistentRun()
    add_like_at(run, 0.5, 0.05)
    add_like_at(run, 15.0, 0.4)
    assert check_recovery_within_ten_seconds(run) == ["writes take 400 ms, before the outage 50 ms"]
