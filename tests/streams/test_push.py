"""Push reaches whoever listens on Socket.IO's Redis channel, and PushList takes the same calls."""

import inspect
import json
import pickle
import time

import pytest
import redis

from app.domain.errors import Unavailable
from app.streams.push import Push, room_of
from tests.cast import new_id
from tests.fakes import PushList


def test_the_fake_takes_the_same_calls() -> None:
    assert inspect.signature(PushList.emit) == inspect.signature(Push.emit)


def test_the_fake_tells_what_one_person_heard() -> None:
    ann, ben, push = new_id(), new_id(), PushList()

    push.emit("notification", {"n": 1}, room_of(ann))
    push.emit("notification", {"n": 2}, room_of(ben))
    push.emit("unread_count", {"n": 3}, room_of(ann))

    assert push.told(ann) == [{"n": 1}]


@pytest.mark.service
def test_a_frame_is_on_the_channel_with_its_room(
    real_redis: redis.Redis, environment: dict[str, str]
) -> None:
    raw = redis.Redis.from_url(environment["REDIS_URL"])
    channel = raw.pubsub(ignore_subscribe_messages=True)
    channel.subscribe("flask-socketio")
    while channel.get_message(timeout=0.1):
        """The subscription is confirmed first."""

    Push(environment["REDIS_URL"]).emit("notification", {"n": 1}, "user:x")

    heard, deadline = None, time.monotonic() + 5
    while heard is None and time.monotonic() < deadline:
        heard = channel.get_message(timeout=0.1)
    channel.close()
    raw.close()
    assert heard is not None
    message = _loads(heard["data"])
    assert (message["event"], message["room"]) == ("notification", "user:x")
    assert message["data"] == [{"n": 1}]  # the arguments of the event


def _loads(data: bytes) -> dict:
    """python-socketio's own form on the channel."""
    return json.loads(data) if data[:1] == b"{" else pickle.loads(data)  # noqa: S301


def test_a_frame_that_nobody_took_is_not_taken_for_told() -> None:
    with pytest.raises(Unavailable):
        Push("redis://127.0.0.1:1/0").emit("notification", {"n": 1}, "user:x")
