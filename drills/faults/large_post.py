"""A post with very many likers, of an author with as many followers: a like loads neither (P4, P11)."""

import time
from dataclasses import dataclass
from http.client import HTTPConnection

from app.devtools.seed_audience import SeededAudience, seed_audience
from drills.audience import (
    LIGHT_LOAD_PROFILE,
    REQUEST_TIMEOUT_SECONDS,
    check_slowest_redis_command,
    remove_audience,
    send_json,
)
from drills.drill import TIME_LIMIT_SLACK_SECONDS, Drill, Scenario
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token

FULL_SIZE, SHORT_SIZE = 1_000_000, 30_000
"""The short one is above MEMBERSHIP_CACHE_MAX too."""
MAX_FIRST_LIKE_SECONDS, MAX_MEMORY_GROWTH_BYTES = 0.05, 1_000_000
LIKER_COUNT = 20


def like_large_post(scenario: Scenario) -> None:
    size = int(scenario.pick_short_or_full(SHORT_SIZE, FULL_SIZE))
    audience = seed_audience(scenario.cluster.engine, size, size)
    scenario.cluster.redis.slowlog_reset()
    memory_before = _used_memory(scenario)
    first_like = _like(scenario, audience, scenario.fixtures.user_ids[0])
    memory_growth = _used_memory(scenario) - memory_before
    counts = [first_like.count]
    counts += [
        _like(scenario, audience, user_id).count for user_id in scenario.fixtures.user_ids[1:LIKER_COUNT]
    ]
    check_slowest_redis_command(scenario)
    scenario.kill_and_restart(2, "redis")
    # A like that is repeated after the restart changes nothing. Until Redis is trusted again, the count of an
    # answer is that of the rows, and the answer says so.
    scenario.wait_for(
        lambda: not _like(scenario, audience, scenario.fixtures.user_ids[0]).is_stale, "a current count", 30
    )
    counts.append(_like(scenario, audience, scenario.fixtures.user_ids[0]).count)
    expected_counts = [*range(size + 1, size + LIKER_COUNT + 1), size + LIKER_COUNT]
    if counts != expected_counts:
        scenario.violations.append(f"counts {counts}, expected {expected_counts}")
    _wait_for_rows(scenario, audience, size + LIKER_COUNT)
    remove_audience(scenario.cluster.engine)
    scenario.measurements |= {
        "likers": size,
        "first like ms": round(first_like.seconds * 1e3),
        "growth of Redis by the first like, bytes": memory_growth,
    }
    limits = (
        ("the first like, s", first_like.seconds, MAX_FIRST_LIKE_SECONDS + TIME_LIMIT_SLACK_SECONDS),
        ("growth of Redis, bytes", memory_growth, MAX_MEMORY_GROWTH_BYTES),
    )
    scenario.violations += [
        f"{name}: {value}, more than {limit}" for name, value, limit in limits if value > limit
    ]


@dataclass(frozen=True, slots=True)
class LikeAnswer:
    seconds: float
    count: int
    is_stale: bool


def _like(scenario: Scenario, audience: SeededAudience, user_id: str) -> LikeAnswer:
    connection = HTTPConnection("127.0.0.1", scenario.cluster.web_ports[0], timeout=REQUEST_TIMEOUT_SECONDS)
    token = create_access_token(user_id, TEST_SECRET_KEY)
    started_at = time.monotonic()
    try:
        status, body = send_json(connection, "PUT", f"/api/posts/{audience.post_id}/like", token)
    finally:
        connection.close()
    if status != 200:
        raise RuntimeError(f"a like was answered {status}: {body}")
    return LikeAnswer(time.monotonic() - started_at, int(body["likesCount"]), bool(body.get("stale")))


def _used_memory(scenario: Scenario) -> int:
    return int(scenario.cluster.redis.info("memory")["used_memory"])


def _wait_for_rows(scenario: Scenario, audience: SeededAudience, expected_count: int) -> None:
    def is_written() -> bool:
        rows = scenario.cluster.query("select like_count from posts where id = :post", post=audience.post_id)
        return rows == [(expected_count,)]

    scenario.wait_for(is_written, f"{expected_count} likes in PostgreSQL")


DRILLS = (
    Drill(
        "large-post",
        "likes of a post with 1,000,000 likers; Redis: SIGKILL",
        ("P1", "P4", "P11"),
        like_large_post,
        in_short_run=True,
        load_profile=LIGHT_LOAD_PROFILE,
    ),
)
