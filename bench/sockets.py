"""A Socket.IO client that notes when the notification about a post arrived."""

import time

import gevent
from gevent.event import AsyncResult
from websocket import WebSocketConnectionClosedException

from harness.socketio_client import SocketIOConnection


class ToastListener:
    """Connects in the constructor, which returns when the server has accepted the connection."""

    def __init__(self, port: int, user_id: str, access_token: str) -> None:
        self._connection = SocketIOConnection(port, access_token)
        self._connection.emit("join_room", {"userId": user_id})
        self._connection.set_timeout(None)
        self._arrival_by_post: dict[str, AsyncResult[float]] = {}
        self._greenlet = gevent.spawn(self._listen)

    def wait_for_toast(self, post_id: str, timeout_seconds: float) -> float:
        """The time when its notification arrived. Raises RuntimeError after the timeout."""
        arrived_at = self._arrival_of(post_id).wait(timeout_seconds)
        if arrived_at is None:
            raise RuntimeError(f"no toast within {timeout_seconds:.0f} s")
        return arrived_at

    def close(self) -> None:
        self._greenlet.kill()
        self._connection.close()

    def _arrival_of(self, post_id: str) -> "AsyncResult[float]":
        # Created by whichever comes first: a toast may arrive before the response to its like.
        return self._arrival_by_post.setdefault(post_id, AsyncResult())

    def _listen(self) -> None:
        while True:
            try:
                packet = self._connection.receive_packet()
            except (WebSocketConnectionClosedException, OSError):
                return
            arrived_at = time.time()
            match self._connection.handle_packet(packet):
                case ("notification", [data, *_]):
                    self._arrival_of(str(data["targetId"])).set(arrived_at)
