"""DynamoDB is killed or frozen: delivery is not delayed, the delivery log is complete afterwards."""

from drills.drill import Drill, Scenario


def kill_dynamodb(scenario: Scenario) -> None:
    scenario.kill_and_restart(scenario.pick_short_or_full(8, 60), "dynamodb")


def freeze_dynamodb(scenario: Scenario) -> None:
    scenario.freeze_services(scenario.pick_short_or_full(8, 60), "dynamodb")


DRILLS = (
    Drill(
        "dynamodb-killed",
        "DynamoDB: SIGKILL, restarted later",
        ("P9",),
        kill_dynamodb,
        max_critical_p99_seconds=1.0,
    ),
    Drill(
        "dynamodb-frozen",
        "DynamoDB: SIGSTOP",
        ("P9",),
        freeze_dynamodb,
        max_critical_p99_seconds=1.0,
    ),
)
