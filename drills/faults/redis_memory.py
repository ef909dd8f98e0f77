"""Ten times more posts than Redis holds are liked in turn: its memory stays flat, counts are exact (P11)."""

import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from statistics import median

from drills.audience import LIGHT_LOAD_PROFILE, delete_posts, run_in_threads, send_json
from drills.drill import Drill, Scenario
from drills.faults.service_outages import SMALL_CACHE, SMALL_CACHE_IDLE_SECONDS
from harness.fixtures import create_posts, create_users

FULL_POST_COUNT, SHORT_POST_COUNT = 5_000, 360
SAMPLE_COUNT, THREAD_COUNT, LIKES_PER_SECOND = 20, 4, 20
MAX_GROWTH = 1.1
CACHE_KEY_PATTERNS = ("like:*", "post:owner:*", "comment:*")


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
            _likes(scenario, post_ids[first : first + batch_size], started_at + first / LIKES_PER_SECOND),
            scenario.cluster.web_ports[0],
            THREAD_COUNT,
        )
        key_counts.append(len(_cache_keys(scenario)))
        memory_sizes.append(_memory_of_cache(scenario))
    seconds_per_sample = (time.monotonic() - started_at) / SAMPLE_COUNT
    scenario.measurements |= {
        "posts": post_count,
        "likes per second": round(post_count / (time.monotonic() - started_at)),
        "cached keys": key_counts,
        "cached keys, kB": [round(size / 1e3) for size in memory_sizes],
    }
    # The cache is full once the first posts have been idle long enough.
    first_full_sample = min(SAMPLE_COUNT // 2, int(2 * SMALL_CACHE_IDLE_SECONDS / seconds_per_sample) + 1)
    middle = (first_full_sample + SAMPLE_COUNT) // 2
    for name, values in (("cached keys", key_counts), ("bytes of cached keys", memory_sizes)):
        before, after = median(values[first_full_sample:middle]), median(values[middle:])
        if after > MAX_GROWTH * before:
            scenario.violations.append(f"{name} grew from {before} to {after}")
    _check_counts(scenario, post_ids)
    delete_posts(scenario.cluster.engine, owner_id)


def _likes(
    scenario: Scenario, post_ids: list[str], starts_at: float
) -> Iterator[Callable[[HTTPConnection], None]]:
    """At a fixed rate, because the number of cached posts is in proportion to it."""
    user_ids = scenario.fixtures.user_ids

    def like(connection: HTTPConnection, post_id: str, token: str) -> None:
        status, body = send_json(connection, "PUT", f"/api/posts/{post_id}/like", token)
        if status != 200 or body["likesCount"] != 1:
            raise RuntimeError(f"the like of a new post was answered {status}: {body}")

    for number, post_id in enumerate(post_ids):
        time.sleep(max(0.0, starts_at + number / LIKES_PER_SECOND - time.monotonic()))
        token = scenario.fixtures.tokens_by_user_id[user_ids[number % len(user_ids)]]
        yield lambda connection, post_id=post_id, token=token: like(connection, post_id, token)  # type: ignore[misc]


def _cache_keys(scenario: Scenario) -> list[str]:
    redis = scenario.cluster.redis
    return [key for pattern in CACHE_KEY_PATTERNS for key in redis.scan_iter(pattern, count=1000)]


def _memory_of_cache(scenario: Scenario) -> int:
    """Bytes. The rest of Redis has bounds of its own: traces of 100,000 events, streams by length."""
    pipeline = scenario.cluster.redis.pipeline(transaction=False)
    for key in [*_cache_keys(scenario), "membership:idle"]:
        pipeline.memory_usage(key, samples=0)
    return sum(size or 0 for size in pipeline.execute())


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
        cluster_spec=SMALL_CACHE,
        max_quiescence_seconds=300.0,
    ),
)
