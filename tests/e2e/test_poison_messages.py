"""Poison messages on any topic or stream become dead letters and delay no other message."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer

from app.bootstrap import new_id
from app.domain.events import Event, Kind
from app.domain.routing import Topic, ingress_shard_of_object
from app.ingest.memberships import DesiredState
from app.messaging.socket_push import CLIENT_EVENT_CHANNEL
from harness.waiting import wait_until
from tests.support.processes import START_TIMEOUT_SECONDS
from tests.support.scenario import WorkerScenario

pytestmark = pytest.mark.service
MAX_DELAY_SECONDS = 2.0
POISON = b'{"type": "\xff'


@pytest.fixture
def client_event_pubsub(scenario: WorkerScenario) -> Iterator["redis.client.PubSub"]:
    """A subscription to what is pushed to the sockets of all web processes."""
    connection = redis.Redis.from_url(scenario.services.settings.service_urls.redis_url)
    subscription = connection.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    subscription.subscribe(CLIENT_EVENT_CHANNEL)
    yield subscription
    subscription.close()
    connection.close()


def was_pushed(client_event_pubsub: "redis.client.PubSub", user_id: str) -> bool:
    """Whether something was pushed to the user since the last call."""
    while message := client_event_pubsub.get_message(timeout=0.05):
        if f"user:{user_id}".encode() in message["data"]:
            return True
    return False


def act(scenario: WorkerScenario, topic: Topic, actor_id: str, post_id: str) -> None:
    """An action whose event goes through this topic to the owner of the post."""
    actions = scenario.services.actions
    owner = scenario.services.comments.get_post_owner_id(post_id)
    if topic is Topic.CRITICAL:
        actions.publish_event(Event(new_id(), Kind.OTP, owner, message="Your code is 123456"))
    elif topic is Topic.HIGH:
        actions.set_follow(actor_id, owner, DesiredState.ON)
    else:
        scenario.set_like(actor_id, post_id, is_on=True)


@pytest.mark.parametrize("topic", [Topic.CRITICAL, Topic.HIGH, Topic.LOW, Topic.READY])
def test_poison_message_on_a_topic_becomes_a_dead_letter(
    scenario: WorkerScenario, client_event_pubsub: "redis.client.PubSub", topic: Topic
) -> None:
    owner, before, after = scenario.create_users(3)
    post = scenario.create_post(owner)
    act(scenario, topic, before, post)
    wait_until(lambda: was_pushed(client_event_pubsub, owner), "the first push", START_TIMEOUT_SECONDS)
    scenario.assert_consistent_when_idle()
    known_dead_letters = _read_dead_letters(scenario)

    servers = list(scenario.services.settings.service_urls.kafka_connection.bootstrap_servers)
    producer = KafkaProducer(bootstrap_servers=servers)
    for value in (POISON, b"", None):
        producer.send(topic.value, key=owner.encode(), value=value).get(timeout=5)
    producer.close()
    act(scenario, topic, after, post)

    wait_until(
        lambda: was_pushed(client_event_pubsub, owner),
        f"the push of the next event; {scenario.processes.log_tails()}",
        MAX_DELAY_SECONDS,
    )
    wait_until(
        lambda: len(_read_dead_letters(scenario) - known_dead_letters) == 3,
        "three dead letters",
        MAX_DELAY_SECONDS,
    )
    assert {origin for origin, _ in _read_dead_letters(scenario) - known_dead_letters} == {topic.value}
    assert _read_dead_letter_topic(servers) >= {
        f"{origin}/{position}" for origin, position in _read_dead_letters(scenario) - known_dead_letters
    }
    scenario.assert_consistent_when_idle()


def test_poison_entry_in_the_ingress_becomes_a_dead_letter(
    scenario: WorkerScenario, client_event_pubsub: "redis.client.PubSub"
) -> None:
    owner, before, after = scenario.create_users(3)
    post = scenario.create_post(owner)
    scenario.set_like(before, post, is_on=True)
    wait_until(lambda: was_pushed(client_event_pubsub, owner), "the first push", START_TIMEOUT_SECONDS)
    scenario.assert_consistent_when_idle()
    known_dead_letters = _read_dead_letters(scenario)

    shard: Any = f"ingress:{ingress_shard_of_object(post, 4)}"
    scenario.services.redis.xadd(shard, {"type": b"\xff\xfe"})
    scenario.services.redis.xadd(shard, {"type": "LIKE", "metadata": '{"x": "\\ud800"}'})
    scenario.set_like(after, post, is_on=True)

    wait_until(
        lambda: was_pushed(client_event_pubsub, owner),
        f"the push of the next event; {scenario.processes.log_tails()}",
        MAX_DELAY_SECONDS,
    )
    wait_until(
        lambda: len(_read_dead_letters(scenario) - known_dead_letters) == 2,
        "two dead letters",
        MAX_DELAY_SECONDS,
    )
    assert {origin for origin, _ in _read_dead_letters(scenario) - known_dead_letters} == {shard}
    scenario.assert_consistent_when_idle()


def _read_dead_letters(scenario: WorkerScenario) -> set[tuple[str, str]]:
    rows = scenario.query("select origin, position from dead_letters")
    return {(str(origin), str(position)) for origin, position in rows}


def _read_dead_letter_topic(servers: list[str]) -> set[str]:
    consumer = KafkaConsumer(
        Topic.DEAD_LETTER.value,
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=1500,
    )
    values = [json.loads(record.value) for record in consumer]
    consumer.close()
    return {f"{value['origin']}/{value['position']}" for value in values}
