"""A post for a large audience is announced while each worker is killed once (P14)."""

import statistics
import time
from typing import Any

from app.devtools.checker.request_log import ACKNOWLEDGED
from app.devtools.seed_audience import seed_audience
from app.domain.worker_loops import WORKER_PROCESSES
from drills.audience import (
    LIGHT_LOAD_PROFILE,
    check_slowest_redis_command,
    remove_audience,
)
from drills.drill import TIME_LIMIT_SLACK_SECONDS, Drill, Scenario
from drills.published_posts import publish, publish_mention
from drills.sandbox import ClusterSpec
from drills.socket_checks import p99

FULL_AUDIENCE, SHORT_AUDIENCE = 1_000_000, 5_000
MAX_PUBLISH_SECONDS, MAX_MENTION_SECONDS, MAX_FAN_OUT_SECONDS = 0.1, 1.0, 600.0
MENTION_INTERVAL_SECONDS = 1.0
MAX_LATENCY_RATIO, MIN_LATENCY_LIMIT_SECONDS = 2.0, 0.05
"""Latencies below the minimum are not compared: a machine that also runs the clients is not quieter."""


def publish_to_large_audience(scenario: Scenario) -> None:
    audience_size = int(scenario.pick_short_or_full(SHORT_AUDIENCE, FULL_AUDIENCE))
    if not scenario.is_short_run:
        # DynamoDB Local stores 400 items a second, 1,000 in memory.
        scenario.unawaited_loops.add("fan-out-log")
    author_id = seed_audience(scenario.cluster.engine, audience_size).author_id
    scenario.cluster.redis.slowlog_reset()
    idle_since = time.time()
    scenario.run_load(scenario.pick_short_or_full(4, 20))
    published_at = time.time()
    publish_seconds = publish(scenario, author_id, "To everybody who subscribed.")
    mention_seconds = _kill_workers_and_measure_mentions(scenario, author_id)
    finished_at = time.time()
    _check_audience(scenario, author_id, audience_size)
    idle_p99 = _like_p99(scenario, idle_since, published_at)
    busy_p99 = _like_p99(scenario, published_at, finished_at)
    scenario.measurements |= {
        "audience": audience_size,
        "publish s": round(publish_seconds, 3),
        "announced to all after s": round(finished_at - published_at, 1),
        "stranger's mention p50, p99, slowest s": [
            round(seconds, 2)
            for seconds in (statistics.median(mention_seconds), p99(mention_seconds), max(mention_seconds))
        ],
        "stranger's like p99 idle and meanwhile ms": [round(idle_p99 * 1e3), round(busy_p99 * 1e3)],
    }
    scenario.print_progress(f"    {scenario.measurements}")
    remove_audience(scenario.cluster.engine)
    check_slowest_redis_command(scenario)
    slack = TIME_LIMIT_SLACK_SECONDS
    limits = (
        ("publishing", publish_seconds, MAX_PUBLISH_SECONDS + slack),
        ("a stranger's mention", max(mention_seconds), MAX_MENTION_SECONDS + slack),
        ("the fan-out", finished_at - published_at, MAX_FAN_OUT_SECONDS),
        ("p99 of likes", busy_p99, max(MAX_LATENCY_RATIO * idle_p99, MIN_LATENCY_LIMIT_SECONDS)),
    )
    scenario.violations += [
        f"{name} took {seconds:.3f} s, more than {limit:.3f}"
        for name, seconds, limit in limits
        if seconds > limit
    ]


def _kill_workers_and_measure_mentions(scenario: Scenario, author_id: str) -> list[float]:
    """Kills each worker once, while strangers mention each other until all are notified. The flusher, which
    runs the fan-out, is the first."""
    seconds: list[float] = []
    to_kill = sorted(WORKER_PROCESSES, key="flusher".__eq__)
    deadline = time.monotonic() + MAX_FAN_OUT_SECONDS + 60
    while to_kill or not seconds or not _is_finished(scenario, author_id):
        if time.monotonic() > deadline:
            raise RuntimeError("the fan-out did not end in time")
        if to_kill:
            worker = scenario.get_process(to_kill.pop())
            worker.kill()
            scenario.wait_for(lambda worker=worker: worker.is_running, f"restart of {worker.name}")  # type: ignore[misc]
            scenario.run_load(scenario.pick_short_or_full(1, 5))
        else:
            seconds.append(_measure_mention(scenario))
            time.sleep(MENTION_INTERVAL_SECONDS)
    return seconds


def _measure_mention(scenario: Scenario) -> float:
    """Seconds from a stranger's post to the announcement of its mention on the ready topic."""
    ((before,),) = scenario.cluster.query("select coalesce(max(id), 0) from outbox")
    started_at = time.monotonic()
    mentioned_id = publish_mention(scenario)

    def is_announced() -> bool:
        return bool(
            scenario.cluster.query(
                "select 1 from outbox where user_id = :user and id > :before and published_at is not null "
                "and client_event = 'notification' and payload->>'type' = 'MENTION' limit 1",
                user=mentioned_id,
                before=before,
            )
        )

    scenario.wait_for(is_announced, "a stranger's mention", 30)
    return time.monotonic() - started_at


def _is_finished(scenario: Scenario, author_id: str) -> bool:
    rows = scenario.cluster.query(
        "select finished_at is not null from fan_outs where actor_id = :author", author=author_id
    )
    return bool(rows and rows[0][0])


def _check_audience(scenario: Scenario, author_id: str, audience_size: int) -> None:
    """Exactly one notification, one client event and one number per subscriber."""
    counts: dict[str, Any] = {
        "notifications": (
            "select count(*), count(distinct user_id) from notifications "
            "where type = 'BELL_POST' and actor_id = :author"
        ),
        "client events": (
            "select count(*), count(distinct o.user_id) from outbox o join bell_subscriptions b "
            "on b.subscriber_id = o.user_id and b.target_user_id = :author where o.client_seq = 1"
        ),
        "recipients with another client_seq": (
            "select :size - count(*), :size from users u join bell_subscriptions b "
            "on b.subscriber_id = u.id and b.target_user_id = :author where u.client_seq = 1"
        ),
    }
    for name, statement in counts.items():
        expected = (0 if "another" in name else audience_size, audience_size)
        ((count, distinct_count),) = scenario.cluster.query(statement, author=author_id, size=audience_size)
        if (count, distinct_count) != expected:
            scenario.violations.append(f"{name}: {count} of {distinct_count}, expected {expected}")


def _like_p99(scenario: Scenario, since: float, until: float) -> float:
    return p99(
        [
            attempt.latency_seconds
            for attempt in scenario.read_request_log().attempts_of("like")
            if attempt.outcome == ACKNOWLEDGED and since <= attempt.sent_at < until
        ]
    )


DRILLS = (
    Drill(
        "popular-author",
        "a post for 1,000,000 subscribers, each worker killed once",
        ("P1", "P3", "P11", "P14"),
        publish_to_large_audience,
        in_short_run=True,
        load_profile=LIGHT_LOAD_PROFILE,
        cluster_spec=ClusterSpec(in_memory_dynamodb=True),
        max_quiescence_seconds=600.0,
    ),
)
