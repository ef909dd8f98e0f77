"""Client events reach the Redis channel, and the fake publisher has the same signature."""

import inspect
import time
from typing import Any

import orjson
import pytest
import redis

from app.domain.errors import Unavailable
from app.messaging.socket_push import CLIENT_EVENT_CHANNEL, SocketPushPublisher, user_room
from tests.support.fakes import MemoryPushPublisher
from tests.support.fixtures import new_id


def test_fake_has_the_signature_of_the_publisher() -> None:
    for name in ("emit", "emit_all"):
        fake, real = getattr(MemoryPushPublisher, name), getattr(SocketPushPublisher, name)
        assert inspect.signature(fake) == inspect.signature(real)


def test_fake_returns_the_events_of_one_user() -> None:
    ann_id, ben_id, push_publisher = new_id(), new_id(), MemoryPushPublisher()

    push_publisher.emit("notification", {"n": 1}, user_room(ann_id))
    push_publisher.emit("notification", {"n": 2}, user_room(ben_id))
    push_publisher.emit("unread_count", {"n": 3}, user_room(ann_id))

    assert push_publisher.events_for_user(ann_id) == [{"n": 1}]


@pytest.mark.service
def test_events_are_published_in_order_with_their_rooms(
    real_redis: redis.Redis, environment: dict[str, str]
) -> None:
    redis_client = redis.Redis.from_url(environment["REDIS_URL"])
    channel: Any = redis_client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    channel.subscribe(CLIENT_EVENT_CHANNEL)
    while channel.get_message(timeout=0.1):
        """Waits until the subscription is confirmed."""

    events = [("notification", {"n": n}, "user:x") for n in (1, 2)]
    SocketPushPublisher(environment["REDIS_URL"]).emit_all(events)

    received: list[Any] = []
    deadline = time.monotonic() + 5
    while len(received) < len(events) and time.monotonic() < deadline:
        message = channel.get_message(timeout=0.1)
        received += [orjson.loads(message["data"])] if message else []
    channel.close()
    redis_client.close()
    assert received == [{"event": "notification", "data": {"n": n}, "room": "user:x"} for n in (1, 2)]


def test_event_not_accepted_by_redis_raises_unavailable() -> None:
    with pytest.raises(Unavailable):
        SocketPushPublisher("redis://127.0.0.1:1/0").emit("notification", {"n": 1}, "user:x")
