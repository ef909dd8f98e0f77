"""Emits client events to Socket.IO rooms through its Redis channel.

In: client events that are already stored. Out: the web processes that hold the sockets. Pub/sub drops
messages without a listener; a client that reconnects requests the events it missed.
"""

import json
from typing import Any

import socketio

from app.clients.redis import create_redis_client, translate_errors

USER_ROOM_PREFIX = "user:"
ALL_POSTS_ROOM = "all-posts"
"""Signed-in sockets that never said which posts they watch."""
POSTS_CHANGED_EVENT, POSTS_CHANGED_ROOM = "posts_changed", "posts-changed"
"""For the web processes, not for sockets: the room has none."""
SOCKETIO_CHANNEL = "flask-socketio"  # the default of Flask-SocketIO
MAX_CONNECTIONS = 4


def user_room(user_id: str) -> str:
    """All sockets of a user, to the cursors of which the web processes pass the event."""
    return USER_ROOM_PREFIX + user_id


def post_room(post_id: str) -> str:
    """The sockets that watch the post."""
    return f"post:{post_id}"


class _FailFastRedisManager(socketio.RedisManager):  # type: ignore[misc]
    """Raises when Redis is unavailable. python-socketio's own _publish() tries twice, each time with
    redis-py's ten retries, and then returns without an error."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url, channel=SOCKETIO_CHANNEL, write_only=True)
        self._redis_client = create_redis_client(redis_url, MAX_CONNECTIONS)

    def _publish(self, data: dict[str, Any]) -> None:
        with translate_errors("publish a client event"):
            self._redis_client.publish(self.channel, json.dumps(data))


class SocketPushPublisher:
    """Write-only: needs neither Flask nor a Socket.IO server in this process."""

    def __init__(self, redis_url: str) -> None:
        self._manager = _FailFastRedisManager(redis_url)

    def emit(self, event_name: str, payload: dict[str, Any], room: str) -> None:
        """Returns when Redis has published it. Raises Unavailable; it may have been published then."""
        self._manager.emit(event_name, payload, namespace="/", room=room)
