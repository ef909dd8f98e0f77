"""Why somebody got a notification: at most six sentences with names and times."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.events import Kind
from app.domain.notification_reasons import (
    MAX_COUNTED_IN_WINDOW,
    LocalClock,
    NewestActor,
    NotificationFacts,
    not_told_text,
    reason_lines,
)
from app.domain.preferences import Channel
from app.domain.windows import AggregationRules

MAX_LINES = 6
LIKED_AT = datetime(2026, 5, 28, 12, 3, 10, tzinfo=UTC)
CLOSED_AT = datetime(2026, 5, 28, 12, 5, tzinfo=UTC)
CLOCK = LocalClock(ZoneInfo("Europe/Berlin"), datetime(2026, 5, 28, 15, 0, tzinfo=UTC))
HANA = NewestActor("Hana", LIKED_AT, CLOSED_AT, is_follower=False, is_announced=True, position=4)
LIKE = NotificationFacts(Kind.LIKE, HANA, 1, CLOSED_AT, frozenset({Channel.PUSH}), told_at=CLOSED_AT)
SETTINGS_LINE = "Your settings: in-app on, e-mail off, SMS off."


def lines_of(facts: NotificationFacts, rules: AggregationRules | None = None) -> list[str]:
    lines = reason_lines(facts, rules or AggregationRules(), CLOCK)
    assert len(lines) <= MAX_LINES
    return lines


def with_actor(facts: NotificationFacts, **changes: object) -> NotificationFacts:
    return replace(facts, actor=replace(HANA, **changes))  # type: ignore[arg-type]


def test_fourth_like_is_explained_by_its_window() -> None:
    assert lines_of(LIKE) == [
        "Hana liked your post at 14:03.",
        "It was the 4th like in 2 minutes, so it waited for the window until 14:05.",
        SETTINGS_LINE,
    ]


def test_ten_thousand_likers_are_as_few_lines() -> None:
    facts = replace(
        with_actor(LIKE, position=MAX_COUNTED_IN_WINDOW, is_follower=True),
        actor_count=10_000,
        shown_at=CLOSED_AT,
        read_at=CLOSED_AT + timedelta(minutes=1),
    )
    assert lines_of(facts) == [
        "Hana, at 14:03, was the last of 10,000 people who liked your post.",
        "It was the 100th or later like in 2 minutes, so it waited for the window until 14:05.",
        "Hana follows you, so it went before those of people who do not.",
        SETTINGS_LINE,
        "It was shown in your browser at 14:05 and you read it at 14:06.",
    ]


@pytest.mark.parametrize(
    ("kind", "waited_seconds", "position", "line"),
    [
        (Kind.LIKE, 0.2, 1, "You were told at once, as of the first 3 in 2 minutes."),
        (Kind.LIKE, 3, 1, "It was written and announced at 14:03:13."),
        (Kind.LIKE, 3, 22, "It was the 22nd like in 2 minutes, so it waited for the window until 14:03:13."),
        (Kind.LIKE, -60, 1, "It was not the first time, so you were not told again."),
        (Kind.COMMENT, 90, 1, "Comments wait for the end of their window, which was at 14:04."),
        (Kind.FOLLOW, 0.2, 1, "This kind of news is told at once."),
    ],
)
def test_second_line_says_when_and_why_then(
    kind: Kind, waited_seconds: float, position: int, line: str
) -> None:
    written_at = LIKED_AT + timedelta(seconds=waited_seconds)
    facts = with_actor(LIKE, written_at=written_at, position=position)
    assert lines_of(replace(facts, kind=kind))[1] == line


def test_actor_who_was_not_announced_waits_for_the_window() -> None:
    facts = with_actor(LIKE, is_announced=False)
    assert lines_of(facts)[1] == "It waits for its window to close; you were not told yet."


@pytest.mark.parametrize(
    ("position", "text"),
    [(11, "11th"), (12, "12th"), (21, "21st"), (23, "23rd"), (99, "99th")],
)
def test_positions_are_ordinal_numbers(position: int, text: str) -> None:
    assert lines_of(with_actor(LIKE, position=position))[1].startswith(f"It was the {text} like")


@pytest.mark.parametrize(
    ("window_seconds", "text"),
    [(60, "in 1 minute,"), (90, "in 90 seconds,"), (1.5, "in 1.5 seconds,"), (1, "in 1 second,")],
)
def test_window_is_in_minutes_or_seconds(window_seconds: float, text: str) -> None:
    assert text in lines_of(LIKE, AggregationRules(window_seconds=window_seconds))[1]


def test_quiet_hours_say_until_when_they_hold() -> None:
    morning = datetime(2026, 5, 29, 6, 0, tzinfo=UTC)
    held = replace(LIKE, told_at=None, held_until=morning)
    assert lines_of(held)[1] == "Your quiet hours hold it until 08:00 on 29 May; your list has it already."
    told = replace(LIKE, told_at=CLOSED_AT, was_held=True)
    assert lines_of(told)[1] == "Your quiet hours held it until 14:05."
    withdrawn_meanwhile = replace(LIKE, told_at=None, was_held=True)
    assert lines_of(withdrawn_meanwhile) == ["Hana liked your post at 14:03.", SETTINGS_LINE]


def test_security_message_has_no_actor_and_ignores_settings() -> None:
    facts = NotificationFacts(Kind.OTP, None, 0, LIKED_AT, frozenset(Channel), LIKED_AT)
    assert lines_of(facts) == [
        "It was sent to you at 14:03.",
        "Security messages come by every channel, whatever your settings say.",
    ]


def test_follower_is_not_named_where_it_makes_no_difference() -> None:
    facts = replace(with_actor(LIKE, is_follower=True), kind=Kind.FOLLOW)
    assert lines_of(facts) == [
        "Hana started following you at 14:03.",
        "This kind of news is told at once.",
        SETTINGS_LINE,
    ]


def test_notification_that_was_only_read_or_only_shown_says_so() -> None:
    assert lines_of(replace(LIKE, read_at=CLOSED_AT))[-1] == "You read it at 14:05."
    shown = replace(LIKE, shown_at=CLOSED_AT)
    assert lines_of(shown)[-1] == "It was shown in your browser at 14:05."


def test_name_cannot_change_the_direction_of_its_line() -> None:
    assert lines_of(with_actor(LIKE, name="\u05d3\u05e0\u05d4"))[0].startswith(
        "\u2068\u05d3\u05e0\u05d4\u2069 liked"
    )


def test_time_in_utc_says_so() -> None:
    clock = LocalClock(UTC, LIKED_AT)
    assert reason_lines(LIKE, AggregationRules(), clock)[0] == "Hana liked your post at 12:03 UTC."


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        ("muted", "You muted the person or the post."),
        ("self", "It was your own action."),
        ("unheard-of", "It ended without an announcement."),
    ],
)
def test_suppressed_event_has_a_reason_in_words(outcome: str, text: str) -> None:
    assert not_told_text(outcome) == text
