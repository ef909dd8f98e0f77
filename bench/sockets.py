"""A listener: one WebSocket that speaks as much Socket.IO as it takes to hear a toast."""

import json
import time

import gevent
from gevent.event import AsyncResult
from websocket import WebSocketConnectionClosedException, create_connection

CONNECT_SECONDS = 10.0
OPEN, PING, PONG, CONNECT, EVENT = "0", "2", "3", "40", "42"


class Listener:
    """Notes when the notification about a post came in. Made once the server has let it in."""

    def __init__(self, port: int, user_id: str, credential: str) -> None:
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        self._link = create_connection(url, timeout=CONNECT_SECONDS)
        self._await(OPEN)
        self._link.send(CONNECT + json.dumps({"token": credential}))
        self._await(CONNECT)
        self._link.send(EVENT + json.dumps(["join_room", {"userId": user_id}]))
        self._link.settimeout(None)
        self._waited: dict[str, AsyncResult[float]] = {}
        self._greenlet = gevent.spawn(self._listen)

    def heard(self, post_id: str, patience: float) -> float:
        """When its toast arrived. Raises RuntimeError when it did not."""
        try:
            return float(self._place(post_id).get(timeout=patience))
        except gevent.Timeout as fault:
            raise RuntimeError(f"no toast within {patience:.0f} s") from fault

    def close(self) -> None:
        self._greenlet.kill()
        self._link.close(timeout=1)

    def _place(self, post_id: str) -> "AsyncResult[float]":
        # Whoever comes first makes it: a toast may be faster than the answer to its click.
        return self._waited.setdefault(post_id, AsyncResult())

    def _listen(self) -> None:
        while True:
            try:
                frame = str(self._link.recv())
            except (WebSocketConnectionClosedException, OSError):
                return
            now = time.time()
            if frame == PING:
                self._link.send(PONG)
            elif frame.startswith(EVENT):
                name, *data = json.loads(frame[len(EVENT) :])
                if name == "notification":
                    self._place(str(data[0]["targetId"])).set(now)

    def _await(self, kind: str) -> None:
        frame = str(self._link.recv())
        if not frame.startswith(kind):
            raise RuntimeError(f"the server said {frame[:200]!r} instead of {kind}")
