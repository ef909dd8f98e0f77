"""Thousands of socket clients in a process of its own that measure the latency of client events.

Raw sockets and one epoll, as in load.py. The sender puts `sentAt`, Unix milliseconds, into each event.
Commands on stdin and responses on stdout, one JSON object a line: {port, credentials_path} once, then
{event_count, timeout_seconds} -> {latencies_ms}, {watch_lists_path} -> {watching},
{take_received_count: event name} -> {received_count}.
"""

import json
import re
import select
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.helper_process import HelperProcess, send_response

EVENT_NAME = "bench_event"
REDIS_CHANNEL = "bench"
"""The channel of plain python-socketio; the product has another."""
CONNECT_TIMEOUT_SECONDS = 30.0
_SENT_AT_PATTERN = re.compile(rb'"sentAt":\s*([0-9.]+)')
_EVENT_NAME_PATTERN = re.compile(rb'42\["([a-z_]+)"')
_HANDSHAKE_REQUEST = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class SocketClients:
    """Starts this module as a process and sends it commands."""

    def __init__(self, port: int, credentials: Sequence[tuple[str, str]]) -> None:
        """Connects one socket per (user id, credential). Returns when all have joined."""
        self._subprocess = HelperProcess("bench.socket_clients")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(credentials, file)
            file.flush()
            self._subprocess.request({"port": port, "credentials_path": file.name})

    def close(self) -> None:
        self._subprocess.close()

    def wait_for_events(self, event_count: int, timeout_seconds: float) -> list[float]:
        """Latencies in ms of that many events. Raises RuntimeError if fewer arrive within the timeout."""
        latencies_ms = list(
            self._subprocess.request({"event_count": event_count, "timeout_seconds": timeout_seconds})[
                "latencies_ms"
            ]
        )
        if len(latencies_ms) != event_count:
            raise RuntimeError(
                f"{len(latencies_ms)} of {event_count} events arrived within {timeout_seconds:.0f} s"
            )
        return latencies_ms

    def watch_posts(self, watch_lists: Sequence[Sequence[str]]) -> None:
        """Sends one list of post ids per socket. Returns when the server has acknowledged all."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(watch_lists, file)
            file.flush()
            self._subprocess.request({"watch_lists_path": file.name})

    def take_received_count(self, event_name: str) -> int:
        """How many events of that name all sockets received since the last call."""
        return int(self._subprocess.request({"take_received_count": event_name})["received_count"])


@dataclass(slots=True)
class WebSocketClient:
    sock: socket.socket
    buffer: bytes = b""
    received_counts: "Counter[bytes]" = field(default_factory=Counter)
    """Events by name since the last count."""

    def read_payloads(self) -> Iterator[bytes]:
        """Complete payloads. Raises RuntimeError if the server closed the connection."""
        chunk = self.sock.recv(65_536)
        if not chunk:
            raise RuntimeError("the server closed a socket")
        self.buffer += chunk
        while (decoded := decode_frame(self.buffer)) is not None:
            payload, self.buffer = decoded
            yield payload

    def send_text(self, text: str) -> None:
        self.sock.sendall(encode_frame(text.encode()))


def encode_frame(payload: bytes) -> bytes:
    """A text frame of a client, with a mask of zeros (RFC 6455, 5.2 and 5.3)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + bytes(4) + payload
    return bytes((0x81, 0x80 | 126)) + struct.pack(">H", size) + bytes(4) + payload


def decode_frame(raw: bytes) -> tuple[bytes, bytes] | None:
    """The first frame's payload and the remaining bytes; None while it is incomplete."""
    if len(raw) < 2:
        return None
    size, payload_start = raw[1] & 0x7F, 2
    if size == 126:
        size, payload_start = int.from_bytes(raw[2:4], "big"), 4
    elif size == 127:
        size, payload_start = int.from_bytes(raw[2:10], "big"), 10
    return (
        (raw[payload_start : payload_start + size], raw[payload_start + size :])
        if len(raw) >= payload_start + size
        else None
    )


def connect_client(port: int, user_id: str, access_token: str) -> WebSocketClient:
    """A connected socket that has joined its room."""
    sock = socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(_HANDSHAKE_REQUEST % port)
    response = b""
    while b"\r\n\r\n" not in response:
        response += sock.recv(65_536) or _raise_connection_closed()
    client = WebSocketClient(sock, response.partition(b"\r\n\r\n")[2])
    if not response.startswith(b"HTTP/1.1 101"):
        raise RuntimeError(f"no WebSocket: {response[:200]!r}")
    client.send_text("40" + json.dumps({"token": access_token}))
    _wait_for_payload(client, b"40")
    client.send_text("42" + json.dumps(["join_room", {"userId": user_id}]))
    _wait_for_payload(client, b'42["joined"')
    return client


def send_watch_lists(clients: Sequence[WebSocketClient], watch_lists: Sequence[Sequence[str]]) -> None:
    for client, post_ids in zip(clients, watch_lists, strict=True):
        client.send_text("420" + json.dumps(["watch_posts", {"postIds": post_ids}]))
        _wait_for_payload(client, b"430")


def take_received_count(clients: Sequence[WebSocketClient], event_name: str) -> int:
    return sum(client.received_counts.pop(event_name.encode(), 0) for client in clients)


def _wait_for_payload(client: WebSocketClient, prefix: bytes) -> None:
    matched = False
    while not matched:
        for payload in client.read_payloads():
            matched = matched or payload.startswith(prefix)
            if payload == b"2":
                client.send_text("3")


def _raise_connection_closed() -> bytes:
    raise RuntimeError("the server closed a socket")


def main() -> None:
    """Answers pings between the commands too, since other variants are measured meanwhile."""
    setup_command = json.loads(sys.stdin.readline())
    credentials = json.loads(Path(setup_command["credentials_path"]).read_text())
    clients = [connect_client(setup_command["port"], *credential) for credential in credentials]
    send_response({"connected": len(clients)})
    epoll = select.epoll()
    epoll.register(0, select.EPOLLIN)
    client_by_fd = {client.sock.fileno(): client for client in clients}
    for fd in client_by_fd:
        epoll.register(fd, select.EPOLLIN)
    latencies_ms: list[float] = []
    expected_count, deadline = 0, float("inf")
    while True:
        for fd, _ in epoll.poll(0.1):
            if fd == 0:
                line = sys.stdin.readline()
                if not line:
                    return
                command = json.loads(line)
                if "event_count" in command:
                    expected_count = command["event_count"]
                    deadline = time.monotonic() + command["timeout_seconds"]
                else:
                    send_response(execute_command(clients, command))
            else:
                latencies_ms += read_latencies(client_by_fd[fd])
        if expected_count and (len(latencies_ms) >= expected_count or time.monotonic() > deadline):
            send_response({"latencies_ms": latencies_ms})
            latencies_ms, expected_count, deadline = [], 0, float("inf")


def execute_command(clients: Sequence[WebSocketClient], command: dict[str, str]) -> dict[str, int]:
    """A command that is answered at once."""
    if "watch_lists_path" in command:
        send_watch_lists(clients, json.loads(Path(command["watch_lists_path"]).read_text()))
        return {"watching": len(clients)}
    return {"received_count": take_received_count(clients, command["take_received_count"])}


def read_latencies(client: WebSocketClient) -> list[float]:
    """Latencies in ms of the received events with `sentAt`."""
    now_ms, latencies_ms = time.time() * 1000, []
    for payload in client.read_payloads():
        if payload == b"2":
            client.send_text("3")
        elif match := _SENT_AT_PATTERN.search(payload):
            latencies_ms.append(now_ms - float(match[1]))
        elif event := _EVENT_NAME_PATTERN.match(payload):
            client.received_counts[event[1]] += 1
    return latencies_ms


if __name__ == "__main__":
    main()
