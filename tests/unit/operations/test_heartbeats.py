"""Heartbeats: one hash, from which those of ended processes are removed."""

import json
import os
import time

from fakeredis import FakeRedis

from app.operations.heartbeats import HEARTBEATS_KEY, Heartbeats, read_heartbeats


def test_heartbeats_of_ended_processes_are_neither_read_nor_kept() -> None:
    connection = FakeRedis(decode_responses=True)
    ended = json.dumps({"at": time.time() - 61, "breakers": {}})
    connection.hset(HEARTBEATS_KEY, "bridge:1", ended)
    assert read_heartbeats(connection) == []

    Heartbeats(connection, lambda: {"kafka": "open"}).record_heartbeat("flusher")

    assert connection.hkeys(HEARTBEATS_KEY) == [f"flusher:{os.getpid()}"]
    (heartbeat,) = read_heartbeats(connection)
    assert (heartbeat.loop, heartbeat.breaker_states) == ("flusher", {"kafka": "open"})


def test_loop_writes_at_most_one_heartbeat_a_second() -> None:
    connection = FakeRedis(decode_responses=True)
    heartbeats = Heartbeats(connection)
    heartbeats.record_heartbeat("flusher")
    connection.delete(HEARTBEATS_KEY)

    heartbeats.record_heartbeat("flusher")
    heartbeats.record_heartbeat("relay")

    assert [heartbeat.loop for heartbeat in read_heartbeats(connection)] == ["relay"]
