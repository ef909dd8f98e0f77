"""Windows: what is told at once, what waits, and until when."""

from dataclasses import replace

import pytest

from app.domain.events import Event, Kind
from app.domain.windows import (
    Rules,
    Verdict,
    Window,
    due_ms,
    instant_places,
    subject_of,
    window_name,
)
from tests.cast import comment, follow, like, new_id, unknown_cast, unlike

CAST = unknown_cast()
ANN, BEN, CEM, DAN, EVA = (new_id() for _ in range(5))
INSTANT, GATHERED, SEEN = Verdict.INSTANT, Verdict.GATHERED, Verdict.SEEN
RULES = Rules()


def placed(*events: Event, places: int = 3) -> list[Verdict]:
    window = Window()
    return [window.place(event, places) for event in events]


@pytest.mark.parametrize(
    ("kind", "places"),
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
def test_places_that_are_told_at_once(kind: Kind, places: int | None) -> None:
    assert instant_places(kind, RULES) == places


def test_an_operator_may_change_how_many_likes_are_instant() -> None:
    assert instant_places(Kind.LIKE, Rules(instant_likes=5)) == 5


@pytest.mark.parametrize(
    ("events", "verdicts"),
    [
        pytest.param(
            [like(one, CAST, n) for n, one in enumerate([ANN, BEN, CEM, DAN, EVA], 1)],
            [INSTANT, INSTANT, INSTANT, GATHERED, GATHERED],
            id="three are told at once, the rest waits",
        ),
        pytest.param(
            [like(ANN, CAST, 1), unlike(ANN, CAST, 2), like(ANN, CAST, 3)],
            [INSTANT, INSTANT, INSTANT],
            id="like, unlike, like take one place",
        ),
        pytest.param(
            [like(ANN, CAST, 1), like(ANN, CAST, 2), like(BEN, CAST, 3)],
            [INSTANT, INSTANT, INSTANT],
            id="an actor is counted once",
        ),
        pytest.param(
            [unlike(ANN, CAST, 1), like(BEN, CAST, 2)],
            [INSTANT, INSTANT],
            id="a withdrawal of something older takes no place",
        ),
        pytest.param(
            [like(ANN, CAST, 5), unlike(ANN, CAST, 3)],
            [INSTANT, SEEN],
            id="a late copy of an older word is seen",
        ),
    ],
)
def test_distinct_actors_take_places(events: list[Event], verdicts: list[Verdict]) -> None:
    assert placed(*events) == verdicts


def test_who_was_gathered_stays_gathered_when_coming_back() -> None:
    first = [like(one, CAST, n) for n, one in enumerate([ANN, BEN, CEM, DAN], 1)]

    verdicts = placed(*first, unlike(DAN, CAST, 5), like(DAN, CAST, 6))

    assert verdicts[3:] == [GATHERED, GATHERED, GATHERED]


@pytest.mark.parametrize(
    ("places", "again"),
    [
        pytest.param(3, INSTANT, id="an instant one is told again: the tables know it by its seq"),
        pytest.param(0, SEEN, id="a gathered one waits already"),
    ],
)
def test_the_same_event_read_again(places: int, again: Verdict) -> None:
    event = like(ANN, CAST, 1)

    assert placed(event, event, places=places)[1] is again


def test_each_comment_of_one_person_waits_by_itself() -> None:
    one, other = comment(ANN, CAST, 1), comment(ANN, CAST, 2)

    assert placed(one, other, places=0) == [GATHERED, GATHERED]
    assert one.member != other.member


def test_due_times_of_many_windows_spread_evenly_over_the_band() -> None:
    now, many = 1_000_000, 5_000
    dues = [due_ms(now, RULES, place / many) for place in range(many)]
    seconds = [(due - now) / 1000 for due in dues]

    per_second = [sum(second <= one < second + 1 for one in seconds) for second in range(90, 150)]

    assert min(seconds) == 90
    assert max(seconds) < 150
    assert min(per_second) >= 82  # 5,000 in 60 s: 83.3 in each
    assert max(per_second) <= 84


@pytest.mark.parametrize(
    ("window", "jitter", "draw", "due"),
    [
        pytest.param(120, 30, 0.0, 90_000, id="early end"),
        pytest.param(120, 30, 0.5, 120_000, id="middle"),
        pytest.param(2.5, 0, 0.9, 2_500, id="fractions of a second"),
        pytest.param(0, 0, 0.9, 0, id="no window at all"),
    ],
)
def test_due_times(window: float, jitter: float, draw: float, due: int) -> None:
    rules = Rules(window_seconds=window, jitter_seconds=jitter)

    assert due_ms(0, rules, draw) == due


def test_a_window_is_named_for_recipient_kind_and_object() -> None:
    event = like(ANN, CAST, 1)

    assert subject_of(window_name(event)) == (CAST.alice, Kind.LIKE, CAST.post)
    assert window_name(event) == window_name(unlike(BEN, CAST, 2))


def test_other_posts_and_other_kinds_have_other_windows() -> None:
    names = {
        window_name(like(ANN, CAST, 1)),
        window_name(replace(like(ANN, CAST, 1), object_id=new_id())),
        window_name(comment(ANN, CAST, 1)),
        window_name(follow(ANN, CAST, 1)),
    }

    assert len(names) == 4


def test_a_closing_name_still_tells_its_subject() -> None:
    name = window_name(like(ANN, CAST, 1))

    assert subject_of(f"{name}:early:7") == subject_of(f"{name}:7") == subject_of(name)
