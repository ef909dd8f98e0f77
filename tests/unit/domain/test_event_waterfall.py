"""The waterfall of an event: hops with times, durations and states, for every way that an event may take."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.event_status import BYPASSED_REDIS_OUTCOME
from app.domain.event_waterfall import (
    HopName,
    HopState,
    RecordedStep,
    Waterfall,
    build_waterfall,
    format_duration,
    requested_at_from_event_id,
)

START = datetime(2026, 5, 28, 14, 3, tzinfo=UTC)
DUE_AT = START + timedelta(minutes=2)


def at(milliseconds: int) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def waterfall(due_at: datetime | None = None, **steps: Any) -> Waterfall:
    """Steps by name, with _ for a blank: the time in ms after the request, or the time and the outcome."""
    recorded = {}
    for name, value in steps.items():
        milliseconds, outcome = value if isinstance(value, tuple) else (value, "")
        step_name = name if name == "sent_to_fallback" else name.replace("_", " ")
        recorded[step_name] = RecordedStep(at(milliseconds), outcome)
    return build_waterfall(recorded, START, due_at)


def states(result: Waterfall) -> dict[str, str]:
    return {hop.name.value: hop.state.value for hop in result.hops}


PUBLISHED: dict[str, Any] = {"accepted": 2, "published": 10}
ANNOUNCED: dict[str, Any] = {"written": 30, "announced": 30, "relayed": 45, "emitted": 60}


def test_instant_like_has_a_duration_at_each_hop() -> None:
    result = waterfall(**PUBLISHED, aggregated=(35, "delivered"), **ANNOUNCED, shown=1_310)
    assert [(hop.name.value, hop.duration_text) for hop in result.hops] == [
        ("request", ""),
        ("ingress", "2 ms"),
        ("kafka", "8 ms"),
        ("window", ""),
        ("transaction", "20 ms"),
        ("outbox", ""),
        ("ready", "15 ms"),
        ("socket", "15 ms"),
        ("browser", "1.25 s"),
    ]
    assert states(result)["window"] == HopState.SKIPPED
    assert (result.is_complete, result.current_hop.name, result.total_text) == (
        True,
        HopName.BROWSER,
        "1.31 s",
    )


def test_gathered_like_waits_for_its_window_until_it_is_due() -> None:
    result = waterfall(DUE_AT, **PUBLISHED, aggregated=(15, "gathered"))
    current = result.current_hop
    assert (current.name, current.state, current.due_at) == (HopName.WINDOW, HopState.WAITING, DUE_AT)
    assert current.detail == "Waits for the window until"
    assert set(list(states(result).values())[4:]) == {HopState.PENDING}
    assert not result.is_complete


def test_window_without_a_due_time_is_closing() -> None:
    assert waterfall(**PUBLISHED, aggregated=(15, "gathered")).current_hop.detail == "The window is closing."


def test_closed_window_has_the_time_of_its_transaction() -> None:
    result = waterfall(
        **PUBLISHED,
        aggregated=(15, "gathered"),
        closed=(120_040, "delivered"),
        written=120_010,
        announced=120_010,
        relayed=120_030,
        emitted=120_050,
    )
    assert [hop.duration_text for hop in result.hops][3:] == ["2 min 0 s", "", "", "20 ms", "20 ms", ""]
    assert result.current_hop.detail == "No browser of the recipient has shown it yet."


@pytest.mark.parametrize(
    ("outcome", "hop", "state", "detail"),
    [
        ("self", "outbox", "skipped", "Nobody is told of their own actions."),
        ("muted", "outbox", "skipped", "It ended without an announcement."),
        ("blocked", "outbox", "skipped", "It ended without an announcement."),
        ("preference", "outbox", "skipped", "It ended without an announcement."),
        ("retracted", "outbox", "skipped", "It was taken back before it was announced."),
        ("merged", "outbox", "skipped", "Nothing new to announce: the recipient was told before."),
        ("expired", "transaction", "skipped", "The post or the account no longer exists."),
        ("unheard-of", "outbox", "skipped", "It ended without an announcement."),
        ("failed", "transaction", "failed", "It could not be processed. Administrators see the reason."),
    ],
)
@pytest.mark.parametrize("is_gathered", [False, True])
def test_event_without_announcement_ends_with_the_reason(
    outcome: str, hop: str, state: str, detail: str, is_gathered: bool
) -> None:
    ends: dict[str, Any] = {"closed": (900, outcome)} if is_gathered else {}
    result = waterfall(**PUBLISHED, aggregated=(15, "gathered" if is_gathered else outcome), **ends)
    last = result.hops[-1]
    assert (last.name.value, last.state.value, last.detail_for(is_admin=False)) == (hop, state, detail)
    assert result.is_complete
    assert result.current_hop == last


@pytest.mark.parametrize(
    ("outcome", "admin_detail"),
    [
        ("muted", "The recipient muted the person or the post."),
        ("blocked", "One of the two blocked the other."),
        ("preference", "The settings of the recipient switch this kind off."),
        ("self", "Nobody is told of their own actions."),
    ],
)
def test_only_administrators_are_told_the_decision_of_the_recipient(outcome: str, admin_detail: str) -> None:
    result = waterfall(**PUBLISHED, aggregated=(15, outcome))
    assert result.hops[-1].detail_for(is_admin=True) == admin_detail
    assert {hop.detail_for(is_admin=True) for hop in result.hops[:-1]} == {
        "",
        "Not needed: nothing is announced.",
    }


def test_dead_letter_fails_whatever_came_before() -> None:
    result = waterfall(**PUBLISHED, dead_letter=20)
    assert states(result) == {
        "request": "done",
        "ingress": "done",
        "kafka": "done",
        "window": "skipped",
        "transaction": "failed",
    }


def test_event_waits_in_the_fallback_queue_while_kafka_is_unavailable() -> None:
    result = waterfall(accepted=2, sent_to_fallback=9, queued=8)
    assert list(states(result))[:4] == ["request", "ingress", "fallback", "kafka"]
    assert result.current_hop.detail == "Kafka is unavailable. It waits in the fallback queue."
    moved = waterfall(accepted=2, sent_to_fallback=9, queued=8, sent_from_the_queue=5_000)
    assert moved.current_hop.detail == "Waits to be announced at once or gathered."


def test_event_written_without_redis_says_so_and_leaves_out_kafka() -> None:
    result = waterfall(
        queued=(4, BYPASSED_REDIS_OUTCOME), written=4, announced=4, relayed=20, aggregated=(90, "merged")
    )
    assert list(states(result)) == [
        "request",
        "ingress",
        "transaction",
        "outbox",
        "ready",
        "socket",
        "browser",
    ]
    assert result.hops[1].detail == "Redis was unavailable, so it was written to the tables at once."
    assert result.current_hop.name is HopName.SOCKET


def test_hop_without_a_record_is_said_to_be_missing() -> None:
    result = waterfall(**ANNOUNCED, aggregated=(35, "delivered"), shown=70)
    assert (states(result)["ingress"], states(result)["kafka"]) == (HopState.MISSING, HopState.MISSING)
    assert result.hops[1].detail == "No time was recorded."
    assert result.is_complete


def test_written_row_is_announced_later_during_quiet_hours() -> None:
    result = waterfall(**PUBLISHED, aggregated=(35, "delivered"), written=30)
    assert result.current_hop.detail == "Written. The recipient is told later."


def test_event_in_the_ingress_waits_for_kafka() -> None:
    result = build_waterfall({"accepted": RecordedStep(START)}, None, None)
    assert result.hops[0].name is HopName.INGRESS
    assert result.current_hop.detail == "Accepted. Waits to be moved to Kafka."


def test_nothing_recorded_is_a_waiting_request() -> None:
    result = build_waterfall({}, None, None)
    assert (result.current_hop.name, result.total_text) == (HopName.INGRESS, "0 ms")


def test_window_whose_end_has_no_outcome_is_still_under_way() -> None:
    assert not waterfall(**PUBLISHED, closed=20).is_complete


def test_time_of_the_request_comes_from_the_event_id() -> None:
    milliseconds = int(START.timestamp() * 1000)
    event_id = UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | 12345)
    assert requested_at_from_event_id(str(event_id)) == START
    assert requested_at_from_event_id(str(uuid4())) is None


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0 ms"), (999, "999 ms"), (1_500, "1.50 s"), (61_400, "1 min 1 s")]
)
def test_durations_have_a_unit(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text
