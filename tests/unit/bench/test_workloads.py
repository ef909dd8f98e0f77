"""The requests that the load sends, the limits of calls per like, the phases of a flush."""

import pytest

from bench.flush_profile import GROUP_PHASE, OTHER_SQL_PHASE, ROWS_PHASE, phase_of_statement
from bench.like_throughput import build_requests_by_connection
from bench.query_counts import LIKE_COUNT, find_violations, max_timer_calls

TOKENS = [f"token-{n}" for n in range(6)]
POSTS = [f"post-{n}" for n in range(9)]


def test_each_like_is_undone_by_the_next_request_of_its_connection() -> None:
    for requests in build_requests_by_connection(TOKENS, POSTS, connection_count=2):
        pairs = list(zip(requests[::2], requests[1::2], strict=True))

        assert all(like.startswith(b"PUT ") for like, _ in pairs)
        assert all(unlike == like.replace(b"PUT", b"DELETE", 1) for like, unlike in pairs)


def test_connections_use_different_users() -> None:
    requests_by_connection = build_requests_by_connection(TOKENS, POSTS, connection_count=3)

    tokens_by_connection = [
        {request.split(b"Bearer ")[1].split(b"\r")[0] for request in requests}
        for requests in requests_by_connection
    ]
    assert sum(map(len, tokens_by_connection)) == len(set().union(*tokens_by_connection)) == len(TOKENS)


def test_hot_post_is_the_only_liked_post() -> None:
    [requests, _] = build_requests_by_connection(TOKENS, ["hot"], connection_count=2)

    assert {request.split(b" ")[1] for request in requests} == {b"/api/posts/hot/like"}


@pytest.mark.parametrize(
    ("statement", "phase"),
    [
        pytest.param("\n  insert into likes (post_id) select 1", ROWS_PHASE, id="likes"),
        pytest.param("update posts set like_count = 1", ROWS_PHASE, id="counter"),
        pytest.param("insert into notification_actors\n (x)", GROUP_PHASE, id="actors of a group"),
        pytest.param("select 1", OTHER_SQL_PHASE, id="select"),
    ],
)
def test_statement_is_assigned_to_its_phase(statement: str, phase: str) -> None:
    assert phase_of_statement(statement) == phase


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
