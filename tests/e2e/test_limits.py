"""Clients that read or write too slowly, or send too much, are disconnected; the others get every event, and
the memory of the web process does not grow."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import psutil
import pytest
import websocket

from app.messaging.socket_push import ALL_POSTS_ROOM, SocketPushPublisher
from harness.processes import ManagedProcess
from harness.waiting import wait_until
from tests.support.cluster import WebCluster
from tests.support.http_client import BrowserTab, HttpClient

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit]
CLOSE_TIMEOUT_SECONDS = 60.0
BIG_TEXT, EVENT_COUNT, BATCH_SIZE = "x" * 60_000, 1_000, 25
MAX_GROWTH_BYTES = 40_000_000
"""60 MB are sent to a socket that reads nothing."""
SLOW_BODY = (
    b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 500\r\n\r\n{"
)
SLOW_HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "


def open_websocket(user: HttpClient) -> websocket.WebSocket:
    """A connected Socket.IO session without a reader thread and with a small receive buffer."""
    url = user.base_url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    connection = websocket.create_connection(
        url, timeout=20, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 8192),)
    )
    connection.recv()
    connection.send("40" + json.dumps({"token": user.token}))
    while not str(connection.recv()).startswith("40"):
        pass
    return connection


def was_closed_by_server(connection: websocket.WebSocket) -> bool:
    """Reads and drops what was sent, up to the end of the connection or the time-out."""
    assert connection.sock is not None
    connection.sock.settimeout(CLOSE_TIMEOUT_SECONDS)
    try:
        while connection.sock.recv(1_000_000):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def received_numbers(tab: BrowserTab) -> list[int]:
    return [data["number"] for data in tab.data_of("post_updated") if "number" in data]


@pytest.fixture
def slow_socket(cluster: WebCluster) -> Iterator[websocket.WebSocket]:
    [ann] = cluster.register_clients("Ann")
    connection = open_websocket(ann.at_server(cluster.web_processes[0].base_url))
    yield connection
    connection.shutdown()  # type: ignore[no-untyped-call]


def test_socket_that_does_not_read_is_closed_at_little_cost(
    cluster: WebCluster, slow_socket: websocket.WebSocket
) -> None:
    [ben] = cluster.register_clients("Ben")
    neighbour = ben.at_server(cluster.web_processes[0].base_url).open_tab()
    web = psutil.Process(cluster.web_processes[0].pid)
    push = SocketPushPublisher(cluster.scenario.processes.environment["REDIS_URL"])
    memory_before = web.memory_info().rss

    def has_received(number: int) -> bool:
        return number in received_numbers(neighbour)

    for number in range(EVENT_COUNT):
        push.emit("post_updated", {"number": number, "text": BIG_TEXT}, ALL_POSTS_ROOM)
        if number % BATCH_SIZE == BATCH_SIZE - 1:
            wait_until(
                partial(has_received, number), f"event {number} at the other socket", CLOSE_TIMEOUT_SECONDS
            )

    assert web.memory_info().rss - memory_before < MAX_GROWTH_BYTES
    assert was_closed_by_server(slow_socket)
    assert "reads too slowly" in cluster.web_processes[0].log_path.read_text()


def test_socket_that_sends_too_much_is_closed(cluster: WebCluster, slow_socket: websocket.WebSocket) -> None:
    [ben] = cluster.register_clients("Ben")

    try:
        for _ in range(20_000):
            slow_socket.send('42["notification_ack",{"notificationId":"x","version":1}]')
    except (OSError, websocket.WebSocketException):
        pass  # closed while sending

    assert was_closed_by_server(slow_socket)
    assert ben.at_server(cluster.web_processes[0].base_url).open_tab().joined_responses
    assert "sends too many messages" in cluster.web_processes[0].log_path.read_text()


def test_slightly_slow_reader_gets_every_byte(cluster: WebCluster, slow_socket: websocket.WebSocket) -> None:
    """simple-websocket takes a partly sent frame for a sent one (app/delivery/socket_backpressure.py)."""
    push = SocketPushPublisher(cluster.scenario.processes.environment["REDIS_URL"])
    for number in range(30):
        push.emit("post_updated", {"number": number, "text": BIG_TEXT}, ALL_POSTS_ROOM)

    numbers: list[int] = []
    while not numbers or numbers[-1] != 29:
        packet = str(slow_socket.recv())
        time.sleep(0.01)  # the slow reader
        if packet.startswith("42"):
            data = json.loads(packet[2:])[1]
            if "number" in data:
                numbers.append(data["number"])
                assert data["text"] == BIG_TEXT
        elif packet == "2":
            slow_socket.send("3")

    assert numbers == list(range(30))


def send_slowly(web: ManagedProcess, request_start: bytes) -> bytes:
    """Sends a byte per second until the server closes the connection; returns what it answered."""
    address = urlsplit(web.base_url)
    with socket.create_connection((address.hostname, address.port), timeout=1) as connection:
        connection.sendall(request_start)
        started_at, response, is_open = time.monotonic(), b"", True
        while is_open:
            assert time.monotonic() - started_at < CLOSE_TIMEOUT_SECONDS
            try:
                connection.sendall(b" ")
                received = connection.recv(10_000)
                response, is_open = response + received, bool(received)
            except TimeoutError:
                continue
            except OSError:
                is_open = False
    return response


def test_slow_request_is_cut_off(cluster: WebCluster) -> None:
    with ThreadPoolExecutor(2) as executor:
        slow_body, slow_head = (
            executor.submit(send_slowly, cluster.web_processes[0], start) for start in (SLOW_BODY, SLOW_HEAD)
        )

    assert b"408" in slow_body.result()
    assert slow_head.exception() is None
