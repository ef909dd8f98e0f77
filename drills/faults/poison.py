"""Nonsense on every topic and stream: put aside with a reason, and neighbours are not late."""

from kafka import KafkaProducer

from app.domain.routing import Topic
from drills.drill import Drill, Scene

NONSENSE = (
    b"",
    b"null",
    b'{"type": "\xff\xfe"}',
    b'{"type": "LIKE", "eventId"',
    b'{"type": 7}',
    b'{"type": "NO_SUCH_KIND", "eventId": "x"}',
    b"[" * 10_000 + b"]" * 10_000,
    b'{"seq": NaN}',
    b"x" * 900_000,
)
LANES = (Topic.CRITICAL, Topic.HIGH, Topic.LOW, Topic.READY)


def act(scene: Scene) -> None:
    for topic, partition, offset in on_topics(scene):
        scene.poison.add((topic, f"{partition}:{offset}"))
    for shard in range(5):
        for fields in ({"type": b"\xff\xfe"}, {"type": "LIKE", "metadata": '{"x": "\\ud800"}'}):
            place = scene.rig.redis.xadd(f"ingress:{shard}", fields)  # type: ignore[arg-type]
            scene.poison.add((f"ingress:{shard}", str(place)))
    scene.load(scene.pick(3, 8))
    scene.figures["poison"] = len(scene.poison)


def on_topics(scene: Scene) -> list[tuple[str, int, int]]:
    producer = KafkaProducer(
        bootstrap_servers=[scene.rig.environment["KAFKA_BOOTSTRAP_SERVERS"]],
        max_request_size=1_000_000,
    )
    places = []
    for topic in LANES:
        for value in (*NONSENSE, None):
            sent = producer.send(topic.value, value=value, key=b"drill").get(timeout=10)
            places.append((topic.value, sent.partition, sent.offset))
    producer.close()
    return places


DRILLS = (Drill("poison", "nonsense on every topic and stream", ("P10", "P12"), act, short=True),)
