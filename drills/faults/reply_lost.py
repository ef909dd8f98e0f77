"""The answer is lost on its way: from Redis to the web, and the client repeats the same request."""

from drills.drill import EVERYTHING, Drill, Scene
from drills.ground import Setup

PROMISES = ("P1", "P2", "P3", "P4")


def redis(scene: Scene) -> None:
    assert scene.rig.proxy
    for _ in range(int(scene.pick(15, 40))):
        scene.rig.proxy.set("redis", cuts=2)
        scene.load(0.5)


def postgres(scene: Scene) -> None:
    assert scene.rig.proxy
    for _ in range(int(scene.pick(10, 30))):
        scene.rig.proxy.set("postgres", cuts=2)
        scene.load(0.7)


def kafka(scene: Scene) -> None:
    assert scene.rig.proxy
    for _ in range(int(scene.pick(8, 20))):
        scene.rig.proxy.set("kafka", cuts=2)
        scene.load(1.5)


DRILLS = (
    Drill(
        "reply-lost-redis", "answers of Redis: lost, the request took effect", PROMISES, redis,
        True, setup=Setup(proxied=True), may_put_off=EVERYTHING,
    ),
    Drill(
        "reply-lost-postgres", "answers of PostgreSQL: lost after the commit", PROMISES, postgres,
        setup=Setup(proxied=True), may_put_off=EVERYTHING,
    ),
    Drill(
        "reply-lost-kafka", "acknowledgements of Kafka: lost", PROMISES, kafka,
        setup=Setup(proxied=True),
    ),
)  # fmt: skip
