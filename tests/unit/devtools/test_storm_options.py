"""What a storm may offer, its requests, and how its figures are compared."""

from typing import Any

import pytest

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE, compare, remarks
from app.devtools.storm.options import StormOptions
from app.devtools.storm.requests import build_requests
from app.domain.errors import Rejected

SECRET = "a test's secret that is long enough for HS256"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likes": 999}, "Likes"),
        ({"likes": 50_001, "people": 50_000, "posts": 2}, "Likes"),
        ({"posts": 0}, "Posts"),
        ({"posts": 101}, "Posts"),
        ({"people": 0}, "People"),
        ({"likes": 2_000, "people": 1_999}, "Nobody likes a post twice"),
        ({"likes": 2_000, "people": 19, "posts": 100}, "more people"),
        ({"rate": 0.0}, "rate"),
        ({"rate": 5_001.0}, "rate"),
        ({"likes": 2_000, "rate": 1.0}, "higher rate"),
    ],
)
def test_storm_outside_the_limits_is_rejected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejected, match=message):
        StormOptions(**options)


@pytest.mark.parametrize(
    ("people", "posts"),
    [(2_000, 1), (1_000, 2), (100, 20), (20, 100), (701, 3)],
    ids=lambda value: str(value),
)
def test_every_like_is_of_another_pair_of_person_and_post(people: int, posts: int) -> None:
    pairs = list(StormOptions(likes=2_000, people=people, posts=posts).iter_likes())

    assert len(pairs) == len(set(pairs)) == 2_000
    assert {post for _, post in pairs} == set(range(posts))


def test_both_ways_get_the_same_requests_at_different_addresses() -> None:
    options = StormOptions(likes=1_000, people=1_000, with_comments=True)
    people_ids = [f"person-{n}" for n in range(1_000)]
    ways = {way: build_requests(way, options, people_ids, ["p"], SECRET) for way in (ROW_PER_LIKE, PIPELINE)}

    contents = [
        [(request.kind, request.actor_id, request.object_id, request.body) for request in requests]
        for requests in ways.values()
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == options.request_count == 1_050
    assert ways[PIPELINE][0].path == "/api/posts/p/like"
    assert not {request.path for request in ways[PIPELINE]} & {request.path for request in ways[ROW_PER_LIKE]}
    assert ways[PIPELINE][0].token != ways[ROW_PER_LIKE][0].token


def _figures(**changed: float | None) -> dict[str, Any]:
    figures = {
        "offeredPerSecond": 300.0,
        "answeredPerSecond": 300.0,
        "answerP99Ms": 20.0,
        "walBytesPerLike": 500,
    }
    return figures | changed


def _better(row_per_like: dict[str, Any], pipeline: dict[str, Any], name: str) -> str | None:
    (row,) = (row for row in compare(row_per_like, pipeline) if row["name"] == name)
    return None if row["better"] is None else str(row["better"])


@pytest.mark.parametrize(
    ("name", "row_per_like", "pipeline", "better"),
    [
        ("answerP99Ms", 80.0, 20.0, PIPELINE),
        ("answerP99Ms", 20.0, 80.0, ROW_PER_LIKE),
        ("answerP99Ms", 100.0, 96.0, "equal"),
        ("answeredPerSecond", 200.0, 300.0, PIPELINE),
        ("walBytesPerLike", None, 300.0, None),
    ],
)
def test_the_better_figure_is_named(
    name: str, row_per_like: float | None, pipeline: float | None, better: str | None
) -> None:
    assert _better(_figures(**{name: row_per_like}), _figures(**{name: pipeline}), name) == better


def test_figure_that_the_pipeline_does_not_win_is_said() -> None:
    row_per_like, pipeline = _figures(), _figures(answerP99Ms=90.0)

    assert remarks(compare(row_per_like, pipeline), row_per_like, pipeline) == [
        "The pipeline does not win: Answer, p99."
    ]


def test_way_that_did_not_keep_up_is_said() -> None:
    row_per_like, pipeline = _figures(answeredPerSecond=120.0), _figures()

    (remark,) = remarks(compare(row_per_like, pipeline), row_per_like, pipeline)
    assert remark.startswith("One row per like answered 120 of 300 offered per second")
