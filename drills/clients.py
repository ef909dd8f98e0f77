"""A request that is noted before it is sent, and its answer after.

In    drills/doings.py, drills/crowd.py
Out   HTTP to the web processes; the ledger
"""

import json
import random
import socket
import time
from http.client import HTTPConnection, HTTPException
from typing import Any, Protocol

import gevent

from drills.balancer import Balancer
from drills.ledger import OK, PUT_OFF, REFUSED, UNKNOWN

PATIENCE_SECONDS = 10.0
"""Far above what is promised: what takes longer is measured, not cut."""
IDLE_SECONDS = 4.0
MOST_TRIES = 4
AGAIN_SECONDS = (0.3, 1.0)


class Noting(Protocol):
    def next_op(self) -> int: ...

    def __call__(self, what: str, **said: Any) -> None: ...


class Caller:
    """Connections are kept per server, as browsers keep them, unless it shall be a fresh one."""

    def __init__(self, balancer: Balancer, notes: Noting, keep_alive: bool) -> None:
        self._balancer = balancer
        self._notes = notes
        self._keep = keep_alive
        self._idle: list[list[tuple[HTTPConnection, float]]] = [[] for _ in balancer.ports]

    def once(
        self, kind: str, actor: str, what: str, verb: str, path: str, token: str, **more: Any
    ) -> dict[str, Any]:
        """One attempt of an operation of its own."""
        return self._attempt(self._notes.next_op(), 1, kind, actor, what, verb, path, token, **more)

    def until_known(
        self, kind: str, actor: str, what: str, verb: str, path: str, token: str, **more: Any
    ) -> dict[str, Any]:
        """Repeated while the answer is unknown or "later": the same PUT, the same key."""
        op, said = self._notes.next_op(), {}
        for number in range(1, MOST_TRIES + 1):
            said = self._attempt(op, number, kind, actor, what, verb, path, token, **more)
            if said["outcome"] in (OK, REFUSED) and said["status"]:
                break
            gevent.sleep(random.uniform(*AGAIN_SECONDS))
        return said

    def _attempt(
        self,
        op: int,
        number: int,
        kind: str,
        actor: str,
        what: str,
        verb: str,
        path: str,
        token: str,
        body: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        server = self._balancer.next()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        self._notes(
            "try", op=op, number=number, kind=kind, actor=actor, object=what, sent=time.time(),
            server=server, keyed=key is not None,
        )  # fmt: skip
        text = json.dumps(body) if body is not None else None
        said = self._ask(server, verb, path, text, headers)
        self._notes("got", op=op, number=number, answered=time.time(), **said)
        return said

    def _ask(
        self, server: int, verb: str, path: str, text: str | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        try:
            link = self._connected(server)
        except ConnectionRefusedError:
            self._balancer.failed(server)
            return _said(REFUSED, 0, code="nobody listens")
        except OSError as fault:
            return _said(UNKNOWN, 0, code=type(fault).__name__)
        try:
            link.request(verb, path, text, headers)
            answer = link.getresponse()
            raw = answer.read()
        except (OSError, HTTPException) as fault:
            self._balancer.failed(server)
            link.close()
            return _said(UNKNOWN, 0, code=type(fault).__name__)
        if self._keep and not answer.will_close:
            self._idle[server].append((link, time.monotonic()))
        else:
            link.close()
        return _told(answer.status, raw, answer.getheader("Retry-After"))

    def _connected(self, server: int) -> HTTPConnection:
        """A connection that was used a moment ago, or a new one. One that has been idle for long
        may be closed by the server just as we send: that would be nobody's fault."""
        while self._idle[server]:
            link, since = self._idle[server].pop()
            if time.monotonic() - since < IDLE_SECONDS:
                return link
            link.close()
        port = self._balancer.ports[server]
        link = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        link.connect()
        assert link.sock
        link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link


def _told(status: int, raw: bytes, retry_after: str | None) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        found = {}
    if not isinstance(found, dict):
        found = {}
    outcome = OK if status < 300 else PUT_OFF if status in (429, 503) else REFUSED
    if status >= 500 and status != 503:
        outcome = UNKNOWN  # it broke on the way; who knows how far it came
    return _said(outcome, status, found.get("code"), retry_after, _matter(found))


def _matter(found: dict[str, Any]) -> dict[str, Any]:
    post = found.get("post") or {}
    shown = {
        "count": found.get("likesCount", found.get("followersCount", post.get("likesCount"))),
        "active": found.get("liked", found.get("following", post.get("isLiked"))),
        "comments": post.get("commentsCount"),
        "id": (found.get("comment") or {}).get("id"),
        "stale": found.get("stale", post.get("stale")),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _said(
    outcome: str,
    status: int,
    code: str | None = None,
    retry_after: str | None = None,
    answer: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "status": status,
        "code": code,
        "retry_after": retry_after,
        "answer": answer or {},
    }
