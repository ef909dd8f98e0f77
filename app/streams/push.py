"""Push: emit to a room through Socket.IO's Redis channel. Lossy by nature, so what is pushed is
always stored first, and a client asks for what it missed.
"""

import logging
from typing import Any

import socketio

log = logging.getLogger(__name__)
SIGNED_IN = "signed-in"


def room_of(user_id: str) -> str:
    return f"user:{user_id}"


class Push:
    """Write-only: needs no Flask and no server in this process."""

    def __init__(self, redis_url: str) -> None:
        self._manager = socketio.RedisManager(
            redis_url,
            channel="flask-socketio",  # where Flask-SocketIO listens
            write_only=True,
            redis_options={
                "socket_timeout": 1.0,
                "socket_connect_timeout": 0.5,
                "health_check_interval": 10,
            },
        )

    def emit(self, event: str, data: dict[str, Any], room: str) -> None:
        self._manager.emit(event, data, namespace="/", room=room)
