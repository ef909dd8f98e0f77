"""Redis is killed: once for a while, and five times in a row under load."""

from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario

GUARANTEE_IDS = ("P1", "P2", "P4", "P7")
# Only requests that were waiting for Redis when it died may be answered 503.


def kill_redis(scenario: Scenario) -> None:
    scenario.kill_and_restart(scenario.pick_short_or_full(6, 60), "redis")


def kill_redis_repeatedly(scenario: Scenario) -> None:
    for _ in range(5):
        scenario.kill_and_restart(0.5, "redis")
        scenario.run_load(scenario.pick_short_or_full(2, 5))


DRILLS = (
    Drill(
        "redis-killed",
        "Redis: SIGKILL, restarted later",
        GUARANTEE_IDS,
        kill_redis,
        True,
        rare_retry_later_kinds=ALL_REQUEST_KINDS,
    ),
    Drill(
        "redis-killed-5",
        "Redis: SIGKILL five times",
        GUARANTEE_IDS,
        kill_redis_repeatedly,
        rare_retry_later_kinds=ALL_REQUEST_KINDS,
    ),
)
