"""What the load sends, what a like may cost, and what a flush is broken down into."""

import pytest

from bench.calls import COUNTED, broken, by_timers
from bench.likes import lanes
from bench.phases import GROUP, REST, ROWS, phase_of

TOKENS = [f"token-{place}" for place in range(6)]
POSTS = [f"post-{place}" for place in range(9)]


def test_every_like_is_taken_back_by_the_next_request_of_its_connection():
    for lane in lanes(TOKENS, POSTS, count=2):
        pairs = list(zip(lane[::2], lane[1::2], strict=True))

        assert all(on.startswith(b"PUT ") for on, _ in pairs)
        assert all(off == on.replace(b"PUT", b"DELETE", 1) for on, off in pairs)


def test_no_two_connections_speak_for_the_same_person():
    found = lanes(TOKENS, POSTS, count=3)

    people = [{one.split(b"Bearer ")[1].split(b"\r")[0] for one in lane} for lane in found]
    assert sum(len(one) for one in people) == len(set().union(*people)) == len(TOKENS)


def test_one_hot_post_is_the_only_one_that_is_liked():
    [lane, _] = lanes(TOKENS, ["hot"], count=2)

    assert {one.split(b" ")[1] for one in lane} == {b"/api/posts/hot/like"}


@pytest.mark.parametrize(
    ("statement", "phase"),
    [
        pytest.param("\n  insert into likes (post_id) select 1", ROWS, id="likes"),
        pytest.param("update posts set like_count = 1", ROWS, id="the counter"),
        pytest.param("insert into notification_actors\n (x)", GROUP, id="the group's actors"),
        pytest.param("select 1", REST, id="a reading"),
    ],
)
def test_phase_of(statement: str, phase: str):
    assert phase_of(statement) == phase


@pytest.mark.parametrize(
    ("calls", "others", "statements", "says"),
    [
        pytest.param(COUNTED, {}, {}, [], id="one call each"),
        pytest.param(COUNTED, {"CONFIG": 3}, {"select 1": 3}, [], id="looks by a timer"),
        pytest.param(COUNTED - 1, {}, {}, ["script calls"], id="one like without a call"),
        pytest.param(COUNTED * 2, {}, {}, ["script calls"], id="two calls each"),
        pytest.param(COUNTED, {"GET": COUNTED}, {}, ["beside"], id="another command each"),
        pytest.param(COUNTED, {"GET": COUNTED // 20}, {}, ["beside"], id="one in twenty"),
        pytest.param(COUNTED, {}, {"select 1": COUNTED}, ["SQL"], id="a statement each"),
        pytest.param(COUNTED, {}, {"select 1": COUNTED // 20}, ["SQL"], id="SQL in one of twenty"),
    ],
)
def test_what_a_like_may_cost(calls: int, others: dict, statements: dict, says: list):
    found = broken(calls, others, statements, by_timers(seconds=1.0))

    assert len(found) == len(says)
    assert all(word in sentence for word, sentence in zip(says, found, strict=True))
