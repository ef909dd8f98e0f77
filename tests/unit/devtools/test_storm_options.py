"""What a storm may offer, and its requests."""

from collections import Counter
from typing import Any

import pytest

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
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
        ({"likes": 2_000, "people": 39, "posts": 100}, "more people"),
        ({"likes": 2_000, "people": 40, "posts": 100, "with_comments": True}, "more people"),
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
    [(2_000, 1), (1_000, 2), (100, 20), (40, 100), (60, 100), (701, 3)],
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


def test_nobody_reaches_the_limit_of_write_requests_in_a_minute() -> None:
    """Twenty likes of the same twenty people: without turns one of them would comment each time."""
    options = StormOptions(likes=1_880, people=40, posts=100, with_comments=True)
    people_ids, post_ids = ([f"{kind}-{n}" for n in range(100)] for kind in ("person", "post"))
    counts: Counter[str] = Counter()
    for way in (ROW_PER_LIKE, PIPELINE):
        requests = build_requests(way, options, people_ids[:40], post_ids, SECRET)
        counts.update(request.actor_id for request in requests)

    assert counts.total() == 2 * options.request_count
    assert max(counts.values()) <= 100


def test_ten_thousand_likes_at_two_hundred_a_second_are_possible() -> None:
    assert StormOptions(likes=10_000, people=10_000, rate=200.0).offer_seconds == 50.0
