"""The checker accepts a consistent run and names each violated invariant."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.devtools.checker.request_log import (
    REFUSED,
    RETRY_LATER,
    UNKNOWN_OUTCOME,
    RoomJoin,
)
from tests.drills.consistent_run import LIMITS, OTP_NOTIFICATION_ID, ConsistentRun, uuid7_at


def test_consistent_result_passes() -> None:
    report = ConsistentRun().check()
    assert (report.lost, report.unexpected, report.violations) == ([], [], {})


def test_last_write_counts_though_its_first_response_was_lost() -> None:
    run = ConsistentRun()
    run.limits = replace(LIMITS, may_drop_connections=True)
    run.add_request("like", "cem", "p0", UNKNOWN_OUTCOME, 0)
    assert run.check().passed(0)
    run.state.memberships_by_table["likes"]["p0", "cem"] = True
    assert run.check().passed(0)


Change = Callable[[ConsistentRun], object]


def lost_like(run: ConsistentRun) -> None:
    run.add_request("like", "cem", "p0", count=2, active=True)


def lost_unlike(run: ConsistentRun) -> None:
    run.add_request("unlike", "ben", "p0", count=0, active=False)


def older_write_applied_last(run: ConsistentRun) -> None:
    """The table has the state of an older request, although a newer one was acknowledged."""
    run.limits = replace(LIMITS, may_drop_connections=True)
    run.add_request("unlike", "ben", "p1", UNKNOWN_OUTCOME, 0)
    run.add_request("like", "ben", "p1", count=1, active=True)
    run.state.memberships_by_table["likes"]["p1", "ben"] = False


def lost_comment(run: ConsistentRun) -> None:
    run.state.comment_texts.remove("mark-3")


def lost_otp(run: ConsistentRun) -> None:
    run.state.otp_ids_by_user["ann"].pop()


def missing_delivery_log_entry(run: ConsistentRun) -> None:
    run.state.logged_client_events.remove(("ann", 2))


@pytest.mark.parametrize(
    "change",
    [lost_like, lost_unlike, older_write_applied_last, lost_comment, lost_otp, missing_delivery_log_entry],
)
def test_acknowledged_write_that_is_missing_is_lost(change: Change) -> None:
    run = ConsistentRun()
    change(run)
    assert len(run.check().lost) == 1


def never_requested_like(run: ConsistentRun) -> None:
    run.state.memberships_by_table["likes"]["p3", "cem"] = True


def duplicate_comment(run: ConsistentRun) -> None:
    run.state.comment_texts.append("mark-3")


def stored_refused_comment(run: ConsistentRun) -> None:
    run.add_request("comment", "ben", "p0 refused", REFUSED, 409)
    run.state.comment_texts.append("refused")


def unknown_comment(run: ConsistentRun) -> None:
    run.state.comment_texts.append("unknown")


def duplicate_otp(run: ConsistentRun) -> None:
    run.state.otp_ids_by_user["ann"] += [("a", uuid7_at(1000))]


@pytest.mark.parametrize(
    "change",
    [never_requested_like, duplicate_comment, stored_refused_comment, unknown_comment, duplicate_otp],
)
def test_unsent_or_repeated_result_is_doubled(change: Change) -> None:
    run = ConsistentRun()
    change(run)
    assert len(run.check().unexpected) == 1


def no_reads(run: ConsistentRun) -> None:
    run.log.attempts = [attempt for attempt in run.log.attempts if attempt.request_kind != "read"]


def refused_without_retry_after(run: ConsistentRun) -> None:
    run.limits = replace(LIMITS, retry_later_kinds=frozenset({"like"}))
    run.add_request("like", "ben", "p0", RETRY_LATER, 503).code = "redis_unavailable"


def refused_without_code(run: ConsistentRun) -> None:
    run.limits = replace(LIMITS, retry_later_kinds=frozenset({"like"}))
    run.add_request("like", "ben", "p0", RETRY_LATER, 429).retry_after = "1"


def internal_error(run: ConsistentRun) -> None:
    run.add_request("read", "ben", "p0", UNKNOWN_OUTCOME, 500).code = "internal"


def needless_retry_later(run: ConsistentRun) -> None:
    attempt = run.add_request("like", "ben", "p0", RETRY_LATER, 503)
    attempt.code, attempt.retry_after = "busy", "1"


def refused_valid_request(run: ConsistentRun) -> None:
    run.add_request("like", "ben", "p0", REFUSED, 404)


def lost_connection(run: ConsistentRun) -> None:
    run.add_request("read", "ben", "p0", UNKNOWN_OUTCOME, 0)


def slow_response(run: ConsistentRun) -> None:
    run.add_request("read", "ben", "p0").answered_at += 2.1


def decreasing_like_count(run: ConsistentRun) -> None:
    run.add_request("read", "ben", "p0", count=0, active=True, comments=1)


def decreasing_comment_count(run: ConsistentRun) -> None:
    run.add_request("read", "ben", "p0", comments=2)
    run.add_request("read", "ben", "p0", comments=1)


def own_like_not_shown(run: ConsistentRun) -> None:
    run.add_request("read", "ben", "p0", count=1, active=False)


def client_event_not_received(run: ConsistentRun) -> None:
    run.state.last_client_seq_by_user["ann"] = 6


def unknown_client_event_received(run: ConsistentRun) -> None:
    run.add_client_event(9)


def version_with_two_numbers(run: ConsistentRun) -> None:
    run.state.last_client_seq_by_user["ann"] = 6
    run.add_client_event(6, notification_id=f"{OTP_NOTIFICATION_ID}-2", version=1)


def redelivery_with_another_version(run: ConsistentRun) -> None:
    run.add_client_event(3, notification_id=f"{OTP_NOTIFICATION_ID}-2", version=7)


def client_events_out_of_order(run: ConsistentRun) -> None:
    run.state.last_client_seq_by_user["ann"] = 7
    run.add_client_event(7)
    run.add_client_event(6)


def unread_count_out_of_order(run: ConsistentRun) -> None:
    run.add_client_event(None, notification_id=None, event_name="unread_count", version=4)
    run.add_client_event(None, notification_id=None, event_name="unread_count", version=3)


def needless_reload(run: ConsistentRun) -> None:
    run.log.joins.append(RoomJoin("ann", 3.0, "epoch", 5, False, False))


def late_otp(run: ConsistentRun) -> None:
    run.log.client_events = [
        replace(event, received_at=event.received_at + 2) for event in run.log.client_events
    ]


def otp_not_received(run: ConsistentRun) -> None:
    run.log.client_events[4] = replace(run.log.client_events[4], notification_id="another-notification")


def store_violation(run: ConsistentRun) -> None:
    run.state.store_violations = ["notification 1: announced 2 in events, 1 in rows"]


def api_count_differs(run: ConsistentRun) -> None:
    run.state.api_counts_by_server[1]["p0"] = (2, 1)


def missing_dead_letter(run: ConsistentRun) -> None:
    run.limits = replace(LIMITS, expected_dead_letters=frozenset({("low", "0:1")}))


def unexpected_dead_letter(run: ConsistentRun) -> None:
    run.state.dead_letters = {("low", "0:2")}


def unbalanced_stage(run: ConsistentRun) -> None:
    run.state.pipeline_stages[0]["in"] = 6


def unknown_stage_total(run: ConsistentRun) -> None:
    run.state.pipeline_stages[0]["held"] = None


def held_at_quiescence(run: ConsistentRun) -> None:
    run.state.pipeline_stages[0] |= {"in": 6, "held": 1}


def memory_above_limit(run: ConsistentRun) -> None:
    run.state.memory_samples_mb["web"].append(601.0)


@pytest.mark.parametrize(
    ("change", "invariant"),
    [
        (no_reads, "load"),
        (refused_without_retry_after, "responses"),
        (refused_without_code, "responses"),
        (internal_error, "responses"),
        (needless_retry_later, "responses"),
        (refused_valid_request, "responses"),
        (lost_connection, "responses"),
        (slow_response, "response time"),
        (decreasing_like_count, "monotonic counts"),
        (decreasing_comment_count, "monotonic counts"),
        (own_like_not_shown, "read your writes"),
        (client_event_not_received, "sockets"),
        (unknown_client_event_received, "sockets"),
        (version_with_two_numbers, "sockets"),
        (redelivery_with_another_version, "sockets"),
        (client_events_out_of_order, "sockets"),
        (unread_count_out_of_order, "sockets"),
        (needless_reload, "sockets"),
        (late_otp, "critical delivery"),
        (otp_not_received, "critical delivery"),
        (store_violation, "tables"),
        (api_count_differs, "counts"),
        (missing_dead_letter, "dead letters"),
        (unexpected_dead_letter, "dead letters"),
        (unbalanced_stage, "stage totals"),
        (unknown_stage_total, "stage totals"),
        (held_at_quiescence, "stage totals"),
        (memory_above_limit, "memory"),
    ],
    ids=lambda parameter: parameter if isinstance(parameter, str) else parameter.__name__,
)
def test_each_violated_invariant_is_named(change: Change, invariant: str) -> None:
    run = ConsistentRun()
    change(run)
    assert list(run.check().violations) == [invariant]
