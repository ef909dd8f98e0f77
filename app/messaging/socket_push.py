"""Publishes client events to the web processes, which hold the sockets, on one Redis channel.

In: client events that are already stored. Out: app/delivery/redis_pubsub.py in every web process. Pub/sub
drops messages without a listener: web processes then read the outbox (app/delivery/socket_dispatcher.py).
"""

from typing import Any

import orjson

from app.clients.redis import create_redis_client, translate_errors

CLIENT_EVENT_CHANNEL = "client-events"
USER_ROOM_PREFIX = "user:"
ALL_POSTS_ROOM = "all-posts"
"""Signed-in sockets that never said which posts they watch: whatever has no other room."""
POSTS_CHANGED_EVENT, POSTS_CHANGED_ROOM = "posts_changed", "posts-changed"
"""For the web processes, not for sockets: the room has none."""
MAX_CONNECTIONS = 4


def user_room(user_id: str) -> str:
    """All sockets of the user, through their cursors."""
    return USER_ROOM_PREFIX + user_id


class SocketPushPublisher:
    def __init__(self, redis_url: str) -> None:
        self._redis_client = create_redis_client(redis_url, MAX_CONNECTIONS)

    def emit(self, event_name: str, payload: dict[str, Any], room: str) -> None:
        """Returns when Redis has published it. Raises Unavailable; it may have been published then."""
        message = orjson.dumps({"event": event_name, "data": payload, "room": room})
        with translate_errors("publish a client event"):
            self._redis_client.publish(CLIENT_EVENT_CHANNEL, message)
