"""Nonsense on any topic or stream: put aside with a reason, and its neighbours are not late."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer

from app.domain.events import Event, Kind
from app.domain.routing import Topic, shard_of
from app.stores.memberships import Wish
from app.wiring import new_id
from tests.services.crew import START_SECONDS, until
from tests.services.stage import Stage

pytestmark = pytest.mark.service
LATE = 2.0
POISON = b'{"type": "\xff'


@pytest.fixture
def channel(stage: Stage) -> Iterator["redis.client.PubSub"]:
    """What goes to the sockets of all web processes."""
    connection = redis.Redis.from_url(stage.parts.settings.addresses.redis_url)
    listening = connection.pubsub(ignore_subscribe_messages=True)
    listening.subscribe("flask-socketio")
    yield listening
    listening.close()
    connection.close()


def heard(channel: "redis.client.PubSub", person: str) -> bool:
    """Whether something for that person went out since it was last asked."""
    while message := channel.get_message(timeout=0.05):
        if f"user:{person}".encode() in message["data"]:
            return True
    return False


def do(stage: Stage, topic: Topic, person: str, post: str) -> None:
    """Something by `person` that goes through this topic to the owner of the post."""
    actions = stage.parts.actions
    owner = stage.parts.comments.owner_of(post)
    if topic is Topic.CRITICAL:
        actions.raise_event(Event(new_id(), Kind.OTP, owner, message="Your code is 123456"))
    elif topic is Topic.HIGH:
        actions.follow(person, owner, Wish.ON)
    else:
        stage.wish(person, post, on=True)


@pytest.mark.parametrize("topic", [Topic.CRITICAL, Topic.HIGH, Topic.LOW, Topic.READY])
def test_poison_on_a_topic(stage: Stage, channel: "redis.client.PubSub", topic: Topic) -> None:
    owner, before, after = stage.people(3)
    post = stage.post(owner)
    do(stage, topic, before, post)
    until(lambda: heard(channel, owner), START_SECONDS, "the way is open")
    stage.come_to_rest()
    known = _dead(stage)

    servers = list(stage.parts.settings.addresses.kafka_bootstrap_servers)
    producer = KafkaProducer(bootstrap_servers=servers)
    for value in (POISON, b"", None):
        producer.send(topic.value, key=owner.encode(), value=value).get(timeout=5)
    producer.close()
    do(stage, topic, after, post)

    until(lambda: heard(channel, owner), LATE, f"its neighbour; {stage.crew.evidence()}")
    until(lambda: len(_dead(stage) - known) == 3, LATE, "three dead letters")
    assert {origin for origin, _ in _dead(stage) - known} == {topic.value}
    assert _on_topic(servers) >= {f"{origin}/{at}" for origin, at in _dead(stage) - known}
    stage.come_to_rest()


def test_poison_in_the_ingress(stage: Stage, channel: "redis.client.PubSub") -> None:
    owner, before, after = stage.people(3)
    post = stage.post(owner)
    stage.wish(before, post, on=True)
    until(lambda: heard(channel, owner), START_SECONDS, "the way is open")
    stage.come_to_rest()
    known = _dead(stage)

    shard: Any = f"ingress:{shard_of(post, 4)}"
    stage.parts.redis.xadd(shard, {"type": b"\xff\xfe"})
    stage.parts.redis.xadd(shard, {"type": "LIKE", "metadata": '{"x": "\\ud800"}'})
    stage.wish(after, post, on=True)

    until(lambda: heard(channel, owner), LATE, f"its neighbour; {stage.crew.evidence()}")
    until(lambda: len(_dead(stage) - known) == 2, LATE, "two dead letters")
    assert {origin for origin, _ in _dead(stage) - known} == {shard}
    stage.come_to_rest()


def _dead(stage: Stage) -> set[tuple[str, str]]:
    rows = stage.rows("select origin, position from dead_letters")
    return {(str(origin), str(position)) for origin, position in rows}


def _on_topic(servers: list[str]) -> set[str]:
    consumer = KafkaConsumer(
        Topic.DEAD_LETTER.value,
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=1500,
    )
    values = [json.loads(record.value) for record in consumer]
    consumer.close()
    return {f"{value['origin']}/{value['position']}" for value in values}
