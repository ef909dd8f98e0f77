"""Publishes client events to the web processes, which hold the sockets, on one Redis channel.

In: client events that are already stored. Out: app/delivery/redis_pubsub.py in every web process. Pub/sub
drops messages without a listener: web processes then read the outbox (app/delivery/socket_dispatcher.py).
"""

from collections.abc import Iterable
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
SocketPush = tuple[str, dict[str, Any], str]
"""Name, payload and room."""


def user_room(user_id: str) -> str:
    """All sockets of the user, through their cursors."""
    return USER_ROOM_PREFIX + user_id


class SocketPushPublisher:
    def __init__(self, redis_url: str) -> None:
        self._redis_client = create_redis_client(redis_url, MAX_CONNECTIONS)

    def emit(self, event_name: str, payload: dict[str, Any], room: str) -> None:
        """Returns when Redis has published it. Raises Unavailable; it may have been published then."""
        self.emit_all([(event_name, payload, room)])

    def emit_all(self, client_events: Iterable[SocketPush]) -> None:
        """Returns when Redis has published them, in this order and in one round trip. Raises Unavailable;
        some of them may have been published then."""
        with translate_errors("publish client events"):
            pipeline = self._redis_client.pipeline(transaction=False)
            for event_name, payload, room in client_events:
                message = orjson.dumps({"event": event_name, "data": payload, "room": room})
                pipeline.publish(CLIENT_EVENT_CHANNEL, message)
            pipeline.execute()
