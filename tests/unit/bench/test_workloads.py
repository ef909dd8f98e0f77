"""The requests that the load sends, and the limits of calls per like."""

import pytest

from bench.like_throughput import build_requests_by_connection
from bench.query_counts import LIKE_COUNT, find_violations, max_timer_calls

TOKENS = [f"token-{n}" for n in range(6)]
POSTS = [f"post-{n}" for n in range(9)]


def test_each_like_is_undone_by_the_next_request_of_its_connection() -> None:
    for requests in build_requests_by_connection(TOKENS, POSTS, connection_count=2):
        pairs = list(zip(requests[::2], requests[1::2], strict=True))

        assert all(like.startswith(b"PUT ") for like, _ in pairs)
        assert all(unlike == like.replace(b"PUT", b"DELETE", 1) for like, unlike in pairs)


@pytest.mark.parametrize(
    ("script_calls", "other_commands", "statements", "expected_texts"),
    [
        pytest.param(LIKE_COUNT, {}, {}, [], id="one call each"),
        pytest.param(LIKE_COUNT, {"CONFIG": 3}, {"select 1": 3}, [], id="calls of a timer"),
        pytest.param(LIKE_COUNT - 1, {}, {}, ["script calls"], id="one like without a call"),
        pytest.param(LIKE_COUNT * 2, {}, {}, ["script calls"], id="two calls each"),
        pytest.param(LIKE_COUNT, {"GET": LIKE_COUNT}, {}, ["besides"], id="another command per like"),
        pytest.param(
            LIKE_COUNT, {"GET": LIKE_COUNT // 20}, {}, ["besides"], id="another command per twentieth like"
        ),
        pytest.param(LIKE_COUNT, {}, {"select 1": LIKE_COUNT}, ["SQL"], id="a statement per like"),
        pytest.param(
            LIKE_COUNT, {}, {"select 1": LIKE_COUNT // 20}, ["SQL"], id="a statement per twentieth like"
        ),
    ],
)
def test_cost_limit_of_a_like(
    script_calls: int,
    other_commands: dict[str, int],
    statements: dict[str, int],
    expected_texts: list[str],
) -> None:
    violations = find_violations(
        script_calls, other_commands, statements, max_timer_calls(elapsed_seconds=1.0)
    )

    assert len(violations) == len(expected_texts)
    assert all(text in violation for text, violation in zip(expected_texts, violations, strict=True))
