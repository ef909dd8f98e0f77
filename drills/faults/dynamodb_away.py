"""DynamoDB is killed or frozen: no toast is late, and the log is complete afterwards."""

from drills.drill import Drill, Scene


def killed(scene: Scene) -> None:
    scene.away(scene.pick(8, 60), "dynamodb")


def frozen(scene: Scene) -> None:
    scene.frozen(scene.pick(8, 60), "dynamodb")


DRILLS = (
    Drill("dynamodb-killed", "DynamoDB: SIGKILL, away", ("P9",), killed, critical=1.0),
    Drill("dynamodb-frozen", "DynamoDB: SIGSTOP", ("P9",), frozen, critical=1.0),
)
