"""Ten times more posts than Redis holds are liked in turn: its memory stays flat, counts are exact (P11)."""

import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

from drills.audience import LIGHT_LOAD_PROFILE, delete_posts, run_in_threads, send_json
from drills.drill import Drill, Scenario
from drills.faults.eviction_under_load import CLUSTER_SPEC, IDLE_SECONDS
from harness.fixtures import create_posts, create_users

FULL_POST_COUNT, SHORT_POST_COUNT = 5_000, 500
SAMPLE_COUNT, THREAD_COUNT = 20, 4
MAX_GROWTH = 1.1
CACHE_KEY_PATTERNS = ("like:*", "post:owner:*", "comment:*")
SAMPLED_TRACES = 100


def like_posts_in_turn(scenario: Scenario) -> None:
    post_count = int(scenario.pick_short_or_full(SHORT_POST_COUNT, FULL_POST_COUNT))
    [owner_id] = create_users(scenario.cluster.engine, 1)
    post_ids = create_posts(scenario.cluster.engine, owner_id, post_count)
    key_counts: list[int] = []
    memory_sizes: list[int] = []
    batch_size = post_count // SAMPLE_COUNT
    started_at = time.monotonic()
    for first in range(0, post_count, batch_size):
        run_in_threads(
            _likes(scenario, post_ids[first : first + batch_size]),
            scenario.cluster.web_ports[0],
            THREAD_COUNT,
        )
        key_counts.append(_count_cache_keys(scenario))
        memory_sizes.append(_memory_without_traces(scenario))
    seconds_per_sample = (time.monotonic() - started_at) / SAMPLE_COUNT
    scenario.measurements |= {
        "posts": post_count,
        "likes per second": round(post_count / (time.monotonic() - started_at)),
        "cached keys": key_counts,
        "memory of Redis without traces, MB": [round(size / 1e6, 1) for size in memory_sizes],
    }
    # The cache is full once the first posts have been idle long enough.
    first_full_sample = min(SAMPLE_COUNT // 2, int(2 * IDLE_SECONDS / seconds_per_sample) + 1)
    for name, values in (("cached keys", key_counts), ("memory", memory_sizes)):
        full, last = max(values[: first_full_sample + 1]), values[-1]
        if last > MAX_GROWTH * full:
            scenario.violations.append(f"{name} grew from {full} to {last}")
    _check_counts(scenario, post_ids)
    delete_posts(scenario.cluster.engine, post_ids)


def _likes(scenario: Scenario, post_ids: list[str]) -> Iterator[Callable[[HTTPConnection], None]]:
    user_ids = scenario.fixtures.user_ids

    def like(connection: HTTPConnection, post_id: str, token: str) -> None:
        status, body = send_json(connection, "PUT", f"/api/posts/{post_id}/like", token)
        if status != 200 or body["likesCount"] != 1:
            raise RuntimeError(f"the like of a new post was answered {status}: {body}")

    for number, post_id in enumerate(post_ids):
        token = scenario.fixtures.tokens_by_user_id[user_ids[number % len(user_ids)]]
        yield lambda connection, post_id=post_id, token=token: like(connection, post_id, token)  # type: ignore[misc]


def _count_cache_keys(scenario: Scenario) -> int:
    redis = scenario.cluster.redis
    return sum(len(list(redis.scan_iter(pattern, count=1000))) for pattern in CACHE_KEY_PATTERNS)


def _memory_without_traces(scenario: Scenario) -> int:
    """Bytes of Redis. Traces have a bound of their own, 100,000 events, which a drill does not reach."""
    redis = scenario.cluster.redis
    trace_keys = [key for key in redis.scan_iter("trace:*", count=1000) if key != "trace:recent"]
    sampled = trace_keys[:: max(1, len(trace_keys) // SAMPLED_TRACES)]
    trace_bytes = sum(int(redis.memory_usage(key) or 0) for key in sampled)
    recent_bytes = int(redis.memory_usage("trace:recent", samples=0) or 0)
    used_bytes = int(redis.info("memory")["used_memory"])
    return used_bytes - recent_bytes - trace_bytes * len(trace_keys) // max(1, len(sampled))


def _check_counts(scenario: Scenario, post_ids: list[str]) -> None:
    def count_written() -> int:
        rows = scenario.cluster.query(
            "select count(*) from posts where id = any(cast(:ids as uuid[])) and like_count = 1", ids=post_ids
        )
        return int(str(rows[0][0]))

    scenario.wait_for(lambda: count_written() == len(post_ids), "one like of each post in PostgreSQL", 120)


DRILLS = (
    Drill(
        "redis-memory",
        "nothing; ten times more posts are liked than Redis holds",
        ("P4", "P11"),
        like_posts_in_turn,
        in_short_run=True,
        load_profile=LIGHT_LOAD_PROFILE,
        cluster_spec=CLUSTER_SPEC,
        max_quiescence_seconds=300.0,
    ),
)
