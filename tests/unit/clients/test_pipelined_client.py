"""The connection to Redis that all greenlets share: whose reply is whose, and when a call times out."""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.socket
import pytest
import redis

from app.clients.pipelined_client import SharedRedisConnection

TIMEOUT_SECONDS = 0.2


@pytest.fixture
def server() -> Iterator[Any]:
    """The other end of the connection, which is its `peer`."""
    client_socket, server_socket = gevent.socket.socketpair()
    connection = SimpleNamespace(_sock=client_socket, disconnect=client_socket.close)
    yield SimpleNamespace(socket=server_socket, peer=SharedRedisConnection(connection, TIMEOUT_SECONDS))
    server_socket.close()
    gevent.sleep(0)


def test_each_caller_gets_its_own_reply(server: Any) -> None:
    calls = [gevent.spawn(server.peer.execute_command, b"call") for _ in range(3)]
    gevent.sleep(0.01)
    server.socket.sendall(b":1\r\n:2\r\n:3\r\n")

    assert [call.get(timeout=1) for call in calls] == [1, 2, 3]


def test_late_reply_goes_to_nobody(server: Any) -> None:
    started_at = time.monotonic()
    with pytest.raises(redis.TimeoutError):
        server.peer.execute_command(b"slow")
    assert TIMEOUT_SECONDS <= time.monotonic() - started_at < 2 * TIMEOUT_SECONDS

    next_call = gevent.spawn(server.peer.execute_command, b"next")
    gevent.sleep(0.01)
    server.socket.sendall(b":1\r\n:2\r\n")

    assert next_call.get(timeout=1) == 2


def test_reply_after_a_callers_own_timeout_goes_to_nobody(server: Any) -> None:
    with pytest.raises(gevent.Timeout), gevent.Timeout(TIMEOUT_SECONDS / 4):
        server.peer.execute_command(b"given up")
    next_call = gevent.spawn(server.peer.execute_command, b"next")
    gevent.sleep(0.01)
    server.socket.sendall(b":1\r\n:2\r\n")

    assert next_call.get(timeout=1) == 2


def test_calls_fail_when_the_connection_is_lost(server: Any) -> None:
    calls = [gevent.spawn(server.peer.execute_command, b"call") for _ in range(2)]
    gevent.sleep(0.01)
    server.socket.shutdown(gevent.socket.SHUT_RDWR)

    for call in calls:
        with pytest.raises(redis.ConnectionError):
            call.get(timeout=1)
    assert server.peer.is_broken
