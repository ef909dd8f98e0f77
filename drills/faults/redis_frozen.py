"""Redis is frozen: calls that waited in its socket must not overwrite newer writes when it resumes."""

from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario

GUARANTEE_IDS = ("P1", "P2", "P7", "P11")


def freeze_redis_briefly(scenario: Scenario) -> None:
    scenario.freeze_services(3, "redis")


def freeze_redis_longer(scenario: Scenario) -> None:
    scenario.freeze_services(scenario.pick_short_or_full(8, 30), "redis")


DRILLS = (
    Drill(
        "redis-frozen",
        "Redis: SIGSTOP 3 s",
        GUARANTEE_IDS,
        freeze_redis_briefly,
        True,
        rare_retry_later_kinds=ALL_REQUEST_KINDS,
    ),
    Drill(
        "redis-frozen-long",
        "Redis: SIGSTOP 30 s",
        GUARANTEE_IDS,
        freeze_redis_longer,
        rare_retry_later_kinds=ALL_REQUEST_KINDS,
    ),
)
