"""Outside: the system as a client sees it, over HTTP and Socket.IO and nothing else.

ann = register("http://127.0.0.1:8000", "Ann")
ann.call("PUT", f"/api/posts/{post}/like").body["likesCount"]
screen = ann.screen(); screen.toasts; screen.drop(); screen.join()

A Screen is one tab: it keeps what it heard and its place (epoch, seq) through any number of
connections, as a careful client does.
"""

import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3
import websocket

PASSWORD = "Outside-2026"
WAIT_SECONDS = 60.0
FRAMES = ("notification", "notification_updated", "notification_removed")
OPEN, PING, PONG, CONNECT, REFUSED, EVENT = "0", "2", "3", "40", "44", "42"
_pool = urllib3.PoolManager(maxsize=32, retries=False)
# In the sense of urllib3: connect, and each read.
_TIMEOUT = urllib3.Timeout(connect=5.0, read=20.0)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


def call(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request; bytes are sent as they are, anything else as JSON."""
    given = dict(headers or {})
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    if raw is not None:
        given.setdefault("Content-Type", "application/json")
    said = _pool.request(method, url, body=raw, headers=given, timeout=_TIMEOUT, redirect=False)
    is_json = said.headers.get("Content-Type", "").startswith("application/json")
    shown = json.loads(said.data) if is_json and said.data else said.data
    return Answer(said.status, said.headers, shown)


@dataclass(frozen=True)
class Person:
    """Somebody with an account, at one web process."""

    base: str
    id: str
    name: str
    username: str
    email: str
    token: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        mine = {"Authorization": f"Bearer {self.token}"}
        mine |= {name.replace("_", "-"): value for name, value in headers.items()}
        return call(method, self.base + path, body, mine)

    def asks(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The body of an answer that must be 2xx."""
        said = self.call(method, path, body, **headers)
        assert 200 <= said.status < 300, f"{method} {path}: {said.status} {said.body}"
        return said.body

    def at(self, base: str) -> "Person":
        """The same person at another web process."""
        return Person(base, self.id, self.name, self.username, self.email, self.token)

    def posts(self, caption: str = "Hello") -> str:
        return str(self.asks("POST", "/api/posts", {"caption": caption})["post"]["id"])

    def likes(self, post: str) -> Any:
        return self.asks("PUT", f"/api/posts/{post}/like")

    def unlikes(self, post: str) -> Any:
        return self.asks("DELETE", f"/api/posts/{post}/like")

    def comments(self, post: str, words: str) -> str:
        body = {"postId": post, "content": words}
        return str(self.asks("POST", "/api/comments", body)["comment"]["id"])

    def follows(self, other: "Person") -> Any:
        return self.asks("PUT", f"/api/follows/{other.id}")

    def inbox(self, **query: str) -> list[dict[str, Any]]:
        """Their newest notifications, as REST tells them."""
        asked = "&".join(f"{name}={value}" for name, value in ({"limit": "100"} | query).items())
        rows: list[dict[str, Any]] = self.asks("GET", f"/api/notifications/{self.id}?{asked}")[
            "notifications"
        ]
        return rows

    @property
    def badge(self) -> int:
        return int(self.asks("GET", f"/api/notifications/{self.id}/unread-count")["count"])

    def screen(self, **how: Any) -> "Screen":
        """A tab that is open and has joined."""
        one = Screen(self.base, self.id, self.token, **how)
        one.join()
        return one


def register(base: str, name: str) -> Person:
    mark = secrets.token_hex(5)
    username = f"{''.join(filter(str.isascii, name))[:12].strip('<>/ ') or 'x'}_{mark}".lower()
    username = "".join(letter for letter in username if letter.isalnum() or letter == "_")
    email = f"{username}@example.org"
    wanted = {"email": email, "username": username, "name": name, "password": PASSWORD}
    said = call("POST", f"{base}/api/auth/register", wanted)
    assert said.status == 201, said
    return Person(base, said.body["user"]["id"], name, username, email, said.body["token"])


class Refused(Exception):
    """The server did not let the socket in."""


@dataclass
class Screen:
    """One tab. `heard` has each event of every connection, in the order of its arrival."""

    base: str
    user_id: str
    token: str
    early: bool = False
    """Whether the token is given at the handshake already."""
    heard: list[tuple[str, Any]] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    """Of each frame in the order it came, out of `missed` or live; none is left out."""
    joined: list[dict[str, Any]] = field(default_factory=list)
    place: tuple[str, int] | None = None
    """(epoch, seq) of the newest frame it has; what it asks to go on from."""
    _link: "websocket.WebSocket | None" = None
    _ear: threading.Thread | None = None
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def open(self) -> None:
        """Connects without saying who it is, unless `early`. Raises Refused."""
        url = self.base.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        link = websocket.create_connection(url, timeout=WAIT_SECONDS)
        _await(link, OPEN)
        link.send(CONNECT + (json.dumps({"token": self.token}) if self.early else ""))
        _await(link, CONNECT)
        link.settimeout(None)
        self._link = link
        self._ear = threading.Thread(target=self._listen, args=(link,), daemon=True)
        self._ear.start()

    def say(self, event: str, data: Any) -> None:
        assert self._link is not None
        self._link.send(EVENT + json.dumps([event, data]))

    def join(self, wait: bool = True, since: Any = "mine") -> dict[str, Any] | None:
        """Opens if need be, joins, and asks for what it missed; the `joined` answer."""
        if self._link is None:
            self.open()
        asked: dict[str, Any] = {"userId": self.user_id, "token": self.token}
        if since == "mine":
            since = {"epoch": self.place[0], "seq": self.place[1]} if self.place else None
        if since is not None:
            asked["since"] = since
        before = len(self.joined)
        self.say("join_room", asked)
        if not wait:
            return None
        self.until(lambda: len(self.joined) > before, "joined")
        return self.joined[-1]

    def drop(self) -> None:
        """Cuts the connection without a word, and forgets nothing."""
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(OSError):
                link.sock.shutdown(socket.SHUT_RDWR)  # or its ear would wait for the next ping
                link.shutdown()
        if self._ear is not None:
            self._ear.join(WAIT_SECONDS)

    def until(self, holds: Any, what: str, seconds: float = WAIT_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        with self._lock:
            while not holds():
                left = deadline - time.monotonic()
                assert left > 0, f"not within {seconds} s: {what}; heard {self.heard[-5:]}"
                self._lock.wait(min(left, 0.2))

    @property
    def closed(self) -> bool:
        """The other side has ended the connection."""
        return self._ear is not None and not self._ear.is_alive()

    def of(self, event: str) -> list[Any]:
        return [data for name, data in list(self.heard) if name == event]

    @property
    def toasts(self) -> list[str]:
        """The lines that rang."""
        return [str(one["message"]) for one in self.of("notification")]

    @property
    def badges(self) -> list[tuple[int, int]]:
        """(version, count) of each badge that was told."""
        return [(one["version"], one["count"]) for one in self.of("unread_count")]

    def _listen(self, link: "websocket.WebSocket") -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            while frame := link.recv():
                if frame == PING:
                    link.send(PONG)
                elif frame.startswith(EVENT):
                    event, *data = json.loads(frame[len(EVENT) :])
                    with self._lock:
                        self._note(event, data[0] if data else None)
                        self._lock.notify_all()

    def _note(self, event: str, data: Any) -> None:
        if event == "joined":
            for one in data["missed"]:
                self._note(one["event"], one["data"])
            self.joined.append(data)
            if data["epoch"]:
                self.place = data["epoch"], data["seq"]
        elif event in FRAMES and "seq" in data:  # a provisional one has no number yet
            self.seqs.append(data["seq"])
            if self.place:
                self.place = self.place[0], max(self.place[1], data["seq"])
        self.heard.append((event, data))


def _await(link: "websocket.WebSocket", kind: str) -> None:
    frame = str(link.recv())
    if frame.startswith(REFUSED):
        raise Refused(frame[len(REFUSED) :])
    assert frame.startswith(kind), f"the server said {frame[:200]!r} instead of {kind}"
