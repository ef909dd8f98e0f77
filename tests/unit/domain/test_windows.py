"""Windows: how many events are announced at once, until when the others wait, and names of windows."""

from dataclasses import replace

import pytest

from app.domain.events import Kind
from app.domain.windows import (
    AggregationRules,
    instant_announcement_quota,
    new_window_due_at_ms,
    parse_window_name,
    window_name,
)
from tests.support.fixtures import (
    comment_event,
    follow_event,
    like_event,
    new_id,
    unlike_event,
    unsaved_sample_users,
)

USERS = unsaved_sample_users()
ANN, BEN = new_id(), new_id()
RULES = AggregationRules()


@pytest.mark.parametrize(
    ("kind", "quota"),
    [
        (Kind.LIKE, 3),
        (Kind.POST_SHARE, 3),
        (Kind.STORY_VIEW, 3),
        (Kind.COMMENT, 0),
        (Kind.COMMENT_REPLY, 0),
        (Kind.FOLLOW, None),
        (Kind.BELL_POST, None),
        (Kind.MENTION, None),
        (Kind.OTP, None),
    ],
)
def test_number_of_instant_announcements_per_kind(kind: Kind, quota: int | None) -> None:
    assert instant_announcement_quota(kind, RULES) == quota


def test_operator_can_change_how_many_likes_are_instant() -> None:
    assert instant_announcement_quota(Kind.LIKE, AggregationRules(instant_likes=5)) == 5


def test_due_times_are_spread_evenly_over_the_jitter_band() -> None:
    now, count = 1_000_000, 5_000
    due_times = [new_window_due_at_ms(now, RULES, i / count) for i in range(count)]
    seconds = [(due - now) / 1000 for due in due_times]

    per_second = [sum(second <= delay < second + 1 for delay in seconds) for second in range(90, 150)]

    assert min(seconds) == 90
    assert max(seconds) < 150
    assert min(per_second) >= 82  # 5,000 in 60 s: 83.3 in each
    assert max(per_second) <= 84


@pytest.mark.parametrize(
    ("window", "jitter", "random_unit", "due_ms"),
    [
        pytest.param(120, 30, 0.0, 90_000, id="early end"),
        pytest.param(120, 30, 0.5, 120_000, id="middle"),
        pytest.param(2.5, 0, 0.9, 2_500, id="fractions of a second"),
        pytest.param(0, 0, 0.9, 0, id="no window at all"),
    ],
)
def test_due_time_of_a_window(window: float, jitter: float, random_unit: float, due_ms: int) -> None:
    rules = AggregationRules(window_seconds=window, jitter_seconds=jitter)

    assert new_window_due_at_ms(0, rules, random_unit) == due_ms


def test_window_is_named_for_recipient_kind_and_object() -> None:
    event = like_event(ANN, USERS, 1)

    assert parse_window_name(window_name(event)) == (USERS.alice_id, Kind.LIKE, USERS.post_id)
    assert window_name(event) == window_name(unlike_event(BEN, USERS, 2))


def test_other_posts_and_other_kinds_have_other_windows() -> None:
    names = {
        window_name(like_event(ANN, USERS, 1)),
        window_name(replace(like_event(ANN, USERS, 1), object_id=new_id())),
        window_name(comment_event(ANN, USERS, 1)),
        window_name(follow_event(ANN, USERS, 1)),
    }

    assert len(names) == 4


def test_claimed_window_name_still_contains_its_object() -> None:
    name = window_name(like_event(ANN, USERS, 1))

    assert parse_window_name(f"{name}:flush:7") == parse_window_name(f"{name}:7") == parse_window_name(name)
