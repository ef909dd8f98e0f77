"""Kafka is killed and stays away: writes go on, the queue fills, and drains when it is back."""

from drills.drill import Drill, Scene


def act(scene: Scene) -> None:
    scene.away(scene.pick(8, 60), "kafka")
    scene.figures["queued"] = len(scene.rig.rows("select 1 from kafka_fallback_queue"))
    if not scene.figures["queued"]:
        scene.complaints.append("nothing went through the fallback queue")


DRILLS = (Drill("kafka-killed", "Kafka: SIGKILL, away", ("P1", "P2", "P5", "P6"), act, short=True),)
