"""HttpClient and BrowserTab: the product as a client sees it, over HTTP and Socket.IO only.

ann = register_client("http://127.0.0.1:8000", "Ann")
ann.request_ok("PUT", f"/api/posts/{post}/like")["likesCount"]
tab = ann.open_tab(); tab.toast_messages; tab.disconnect(); tab.join()

A BrowserTab keeps its events and its resume point (epoch, seq) across connections, as a careful client does.
"""

import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import urllib3
import websocket

PASSWORD = "Outside-2026"
DEFAULT_TIMEOUT_SECONDS = 60.0
CLIENT_EVENT_TYPES = ("notification", "notification_updated", "notification_removed")
OPEN, PING, PONG, CONNECT, CONNECT_ERROR, EVENT, ACK = "0", "2", "3", "40", "44", "42", "43"
_http_pool = urllib3.PoolManager(maxsize=32, retries=False)
_HTTP_TIMEOUT = urllib3.Timeout(connect=5.0, read=20.0)


@dataclass(frozen=True)
class HttpResponse:
    status: int
    headers: Mapping[str, str]
    body: Any


def send_request(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Sends one request: bytes as they are, anything else as JSON."""
    request_headers = dict(headers or {})
    payload = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    if payload is not None:
        request_headers.setdefault("Content-Type", "application/json")
    response = _http_pool.request(
        method, url, body=payload, headers=request_headers, timeout=_HTTP_TIMEOUT, redirect=False
    )
    is_json = response.headers.get("Content-Type", "").startswith("application/json")
    parsed_body = json.loads(response.data) if is_json and response.data else response.data
    return HttpResponse(response.status, response.headers, parsed_body)


@dataclass(frozen=True)
class HttpClient:
    """A registered user at one web process."""

    base_url: str
    id: str
    name: str
    username: str
    email: str
    token: str

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        request_headers = {"Authorization": f"Bearer {self.token}"}
        request_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        return send_request(method, self.base_url + path, body, request_headers)

    def request_ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The body of a response, whose status must be 2xx."""
        response = self.request(method, path, body, **headers)
        assert 200 <= response.status < 300, f"{method} {path}: {response.status} {response.body}"
        return response.body

    def at_server(self, base_url: str) -> "HttpClient":
        """The same user at another web process."""
        return HttpClient(base_url, self.id, self.name, self.username, self.email, self.token)

    def create_post(self, caption: str = "Hello", **fields: str) -> str:
        return str(self.request_ok("POST", "/api/posts", {"caption": caption} | fields)["post"]["id"])

    def like(self, post_id: str) -> Any:
        return self.request_ok("PUT", f"/api/posts/{post_id}/like")

    def unlike(self, post_id: str) -> Any:
        return self.request_ok("DELETE", f"/api/posts/{post_id}/like")

    def comment(self, post_id: str, content: str) -> str:
        body = {"postId": post_id, "content": content}
        return str(self.request_ok("POST", "/api/comments", body)["comment"]["id"])

    def follow(self, other_user: "HttpClient") -> Any:
        return self.request_ok("PUT", f"/api/follows/{other_user.id}")

    def list_notifications(self, **query: str) -> list[dict[str, Any]]:
        """The newest 100 notifications over REST."""
        query_string = "&".join(f"{name}={value}" for name, value in ({"limit": "100"} | query).items())
        rows: list[dict[str, Any]] = self.request_ok("GET", f"/api/notifications/{self.id}?{query_string}")[
            "notifications"
        ]
        return rows

    @property
    def unread_count(self) -> int:
        return int(self.request_ok("GET", f"/api/notifications/{self.id}/unread-count")["count"])

    def open_tab(self, **options: Any) -> "BrowserTab":
        """A connected tab that has joined."""
        tab = BrowserTab(self.base_url, self.id, self.token, **options)
        tab.join()
        return tab


def register_client(base_url: str, name: str) -> HttpClient:
    unique_suffix = secrets.token_hex(5)
    username = f"{''.join(filter(str.isascii, name))[:12].strip('<>/ ') or 'x'}_{unique_suffix}".lower()
    username = "".join(char for char in username if char.isalnum() or char == "_")
    email = f"{username}@example.org"
    registration = {"email": email, "username": username, "name": name, "password": PASSWORD}
    response = send_request("POST", f"{base_url}/api/auth/register", registration)
    assert response.status == 201, response
    return HttpClient(base_url, response.body["user"]["id"], name, username, email, response.body["token"])


class ConnectionRefused(Exception):
    """The server refused the Socket.IO connection."""


@dataclass
class BrowserTab:
    """One browser tab. `received_events` has the events of all its connections in the order of arrival."""

    base_url: str
    user_id: str
    token: str
    sends_token_at_handshake: bool = False
    """Whether the token is sent with the handshake, not only with join_room."""
    received_events: list[tuple[str, Any]] = field(default_factory=list)
    client_seqs: list[int] = field(default_factory=list)
    """Of each client event in the order of arrival, from `missed` or live."""
    joined_responses: list[dict[str, Any]] = field(default_factory=list)
    resume_point: tuple[str, int] | None = None
    """(epoch, seq) of the newest event received; sent as `since` when joining again."""
    acks: dict[int, Any] = field(default_factory=dict)
    """The first value of each acknowledgement."""
    _ack_ids: Iterator[int] = field(default_factory=count)
    _websocket: "websocket.WebSocket | None" = None
    _reader_thread: threading.Thread | None = None
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def connect(self) -> None:
        """Connects, with the token only if `sends_token_at_handshake`. Raises ConnectionRefused."""
        url = self.base_url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        # The library validates UTF-8 byte by byte in Python, which takes longer than everything else.
        connection = websocket.create_connection(
            url, timeout=DEFAULT_TIMEOUT_SECONDS, skip_utf8_validation=True
        )
        _expect_packet(connection, OPEN)
        connection.send(
            CONNECT + (json.dumps({"token": self.token}) if self.sends_token_at_handshake else "")
        )
        _expect_packet(connection, CONNECT)
        connection.settimeout(None)
        self._websocket = connection
        self._reader_thread = threading.Thread(target=self._read_messages, args=(connection,), daemon=True)
        self._reader_thread.start()

    def emit(self, event: str, data: Any) -> None:
        assert self._websocket is not None
        self._websocket.send(EVENT + json.dumps([event, data]))

    def emit_and_wait_for_ack(self, event: str, data: Any) -> Any:
        """The value with which the server acknowledges the event."""
        assert self._websocket is not None
        ack_id = next(self._ack_ids)
        self._websocket.send(f"{EVENT}{ack_id}{json.dumps([event, data])}")
        self.wait_until(lambda: ack_id in self.acks, f"the acknowledgement of {event}")
        return self.acks[ack_id]

    def join(self, wait_for_response: bool = True, since: Any = "resume_point") -> dict[str, Any] | None:
        """Connects if necessary and joins, resuming from `since`. Returns the `joined` response."""
        if self._websocket is None:
            self.connect()
        join_request: dict[str, Any] = {"userId": self.user_id, "token": self.token}
        if since == "resume_point":
            since = (
                {"epoch": self.resume_point[0], "seq": self.resume_point[1]} if self.resume_point else None
            )
        if since is not None:
            join_request["since"] = since
        response_count_before = len(self.joined_responses)
        self.emit("join_room", join_request)
        if not wait_for_response:
            return None
        self.wait_until(lambda: len(self.joined_responses) > response_count_before, "joined")
        return self.joined_responses[-1]

    def disconnect(self) -> None:
        """Closes the connection without a close frame; keeps the events."""
        connection, self._websocket = self._websocket, None
        if connection is not None:
            with contextlib.suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the reader thread
                connection.shutdown()  # type: ignore[no-untyped-call]
        if self._reader_thread is not None:
            self._reader_thread.join(DEFAULT_TIMEOUT_SECONDS)

    def wait_until(
        self, condition: Any, description: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        with self._lock:
            while not condition():
                remaining_seconds = deadline - time.monotonic()
                assert remaining_seconds > 0, (
                    f"not within {timeout_seconds} s: {description}; received {self.received_events[-5:]}"
                )
                self._lock.wait(min(remaining_seconds, 0.2))

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self._reader_thread is not None and not self._reader_thread.is_alive()

    def data_of(self, event: str) -> list[Any]:
        return [data for name, data in list(self.received_events) if name == event]

    @property
    def toast_messages(self) -> list[str]:
        """The texts of the announcements."""
        return [str(client_event["message"]) for client_event in self.data_of("notification")]

    @property
    def unread_counts(self) -> list[tuple[int, int]]:
        """(version, count) of each unread_count event."""
        return [
            (client_event["version"], client_event["count"]) for client_event in self.data_of("unread_count")
        ]

    def _read_messages(self, connection: "websocket.WebSocket") -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            while isinstance(packet := connection.recv(), str) and packet:
                if packet == PING:
                    connection.send(PONG)
                elif packet.startswith(ACK):
                    ack_id, _, values = packet[len(ACK) :].partition("[")
                    with self._lock:
                        self.acks[int(ack_id)] = json.loads(f"[{values}")[0]
                        self._lock.notify_all()
                elif packet.startswith(EVENT):
                    event, *data = json.loads(packet[len(EVENT) :])
                    with self._lock:
                        self._record_event(event, data[0] if data else None)
                        self._lock.notify_all()

    def _record_event(self, event: str, data: Any) -> None:
        if event == "joined":
            for missed_event in data["missed"]:
                self._record_event(missed_event["event"], missed_event["data"])
            self.joined_responses.append(data)
            if data["epoch"]:
                self.resume_point = data["epoch"], data["seq"]
        elif event in CLIENT_EVENT_TYPES and "seq" in data:  # a preview has no seq
            self.client_seqs.append(data["seq"])
            if self.resume_point:
                self.resume_point = self.resume_point[0], max(self.resume_point[1], data["seq"])
        self.received_events.append((event, data))


def _expect_packet(connection: "websocket.WebSocket", packet_type: str) -> None:
    packet = str(connection.recv())
    if packet.startswith(CONNECT_ERROR):
        raise ConnectionRefused(packet[len(CONNECT_ERROR) :])
    assert packet.startswith(packet_type), f"received {packet[:200]!r} instead of {packet_type}"
