"""Push: emit to a room through Socket.IO's Redis channel. Pub/sub forgets whom it did not reach, so
what is pushed is always stored first, and a client asks for what it missed.
"""

import json
from typing import Any

import socketio

from app.stores.redis import client, speaking

SIGNED_IN = "signed-in"
CHANNEL = "flask-socketio"  # where Flask-SocketIO listens
CONNECTIONS = 4


def room_of(user_id: str) -> str:
    return f"user:{user_id}"


class _Channel(socketio.RedisManager):  # type: ignore[misc]
    """python-socketio's own publishing tries twice, each time with redis-py's ten retries, and then
    returns as if all were well: a worker would take a frame for told that nobody heard."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url, channel=CHANNEL, write_only=True)
        self._ours = client(redis_url, CONNECTIONS)

    def _publish(self, data: dict[str, Any]) -> None:
        with speaking("take a frame"):
            self._ours.publish(self.channel, json.dumps(data))


class Push:
    """Write-only: needs no Flask and no server in this process."""

    def __init__(self, redis_url: str) -> None:
        self._channel = _Channel(redis_url)

    def emit(self, event: str, data: dict[str, Any], room: str) -> None:
        """Returns when Redis has it for all who listen. Raises Unavailable; it may have it then."""
        self._channel.emit(event, data, namespace="/", room=room)
