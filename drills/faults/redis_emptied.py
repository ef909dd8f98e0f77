"""FLUSHALL under load. At most the events that the bridge had not moved yet may be lost."""

from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario
from harness.waiting import wait_until

IN_FLIGHT_REQUESTS = 60
"""Requests between reading the stream lengths and FLUSHALL, at a hundred per second."""


def flush_redis(scenario: Scenario) -> None:
    redis_client = scenario.cluster.redis
    ingress_entries = sum(redis_client.xlen(f"ingress:{shard}") for shard in range(5))
    redis_client.flushall()
    scenario.measurements["may lose"] = ingress_entries + IN_FLIGHT_REQUESTS
    wait_until(lambda: bool(redis_client.exists("windows:epoch")), "new epoch in the emptied Redis", 30)


DRILLS = (
    Drill(
        "redis-emptied",
        "Redis: FLUSHALL",
        ("P7",),
        flush_redis,
        in_short_run=True,
        rare_retry_later_kinds=ALL_REQUEST_KINDS,
        may_lose_writes=True,
        may_require_reload=True,
    ),
)
