"""Cursor of each socket: every client event reaches it once and in order, whichever path the event took.

app/delivery/redis_pubsub.py calls skip_sids() before it emits to a room; app/delivery/room_joins.py sends a
joined socket what was buffered. While a socket joins, its missed events are read from the tables and new ones
are buffered. An event among the missed ones may still arrive from Kafka: the socket is skipped then. So a
client that stores the highest number it has received can be disconnected at any moment without a gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_BUFFERED_EVENTS = 300
UNREAD_COUNT_EVENT = "unread_count"
ClientEvent = tuple[str, Any]


@dataclass(slots=True)
class SocketCursor:
    last_client_seq: int = 0
    """The socket has all events up to this number, from `missed` or live; 0: no resume point."""
    out_of_order: set[int] = field(default_factory=set)
    """Numbers received beyond a gap."""
    badge_version: int = -1
    """Version of the newest unread count it received."""
    buffered: list[ClientEvent] | None = None
    """None: nothing is buffered."""

    def was_delivered(self, event: str, data: Any) -> bool:
        if event == UNREAD_COUNT_EVENT:
            return int(data["version"]) <= self.badge_version
        client_seq = int(data.get("seq") or 0)
        return 0 < client_seq <= self.last_client_seq or client_seq in self.out_of_order

    def mark_delivered(self, event: str, data: Any) -> None:
        if event == UNREAD_COUNT_EVENT:
            self.badge_version = int(data["version"])
        elif client_seq := int(data.get("seq") or 0):
            self.last_client_seq = self.last_client_seq or client_seq - 1
            self.out_of_order.add(client_seq)
            if len(self.out_of_order) > MAX_BUFFERED_EVENTS:
                self.last_client_seq = min(self.out_of_order)
            self.advance_over_filled_gaps()

    def advance_over_filled_gaps(self) -> None:
        """Advances last_client_seq over filled gaps."""
        self.out_of_order = {
            client_seq for client_seq in self.out_of_order if client_seq > self.last_client_seq
        }
        while self.last_client_seq + 1 in self.out_of_order:
            self.last_client_seq += 1
            self.out_of_order.remove(self.last_client_seq)


@dataclass(slots=True)
class SocketCursors:
    _cursors_by_room: dict[str, dict[str, SocketCursor]] = field(default_factory=dict)

    def start_buffering(self, room: str, sid: str) -> None:
        """Buffers events of this socket from now on."""
        cursor = self._cursors_by_room.setdefault(room, {}).setdefault(sid, SocketCursor())
        if cursor.buffered is None:
            cursor.buffered = []

    def stop_buffering_and_iter_undelivered(
        self, room: str, sid: str, last_client_seq: int = 0, badge: tuple[int, int] | None = None
    ) -> Iterator[ClientEvent]:
        """Ends buffering. Yields the unread count `badge` (version, count) and the buffered events
        that were not among the missed ones. Raises JoinBufferOverflow.

        The caller must emit them without switching greenlets (emitting does not switch).
        """
        cursor = self._cursors_by_room.get(room, {}).get(sid)
        if cursor is None or cursor.buffered is None:
            return
        buffered, cursor.buffered = cursor.buffered, None
        cursor.last_client_seq = max(cursor.last_client_seq, last_client_seq)
        cursor.advance_over_filled_gaps()
        if len(buffered) > MAX_BUFFERED_EVENTS:
            raise JoinBufferOverflow
        if badge:
            buffered.insert(0, (UNREAD_COUNT_EVENT, {"count": badge[1], "version": badge[0]}))
        for event, data in buffered:
            if not cursor.was_delivered(event, data):
                cursor.mark_delivered(event, data)
                yield event, data

    def remove_socket(self, room: str, sid: str) -> None:
        cursors = self._cursors_by_room.get(room, {})
        cursors.pop(sid, None)
        if not cursors:
            self._cursors_by_room.pop(room, None)

    def track_emit_and_list_skipped_sids(self, room: object, event: str, data: Any) -> list[str]:
        """Sockets of the room that must not receive this event now."""
        if not isinstance(room, str) or not isinstance(data, dict):
            return []
        return [
            sid
            for sid, cursor in self._cursors_by_room.get(room, {}).items()
            if _track_emit_and_check_skip(cursor, event, data)
        ]


class JoinBufferOverflow(Exception):
    """Too many events arrived during a join: the socket is closed, and its client resumes."""


def _track_emit_and_check_skip(cursor: SocketCursor, event: str, data: Any) -> bool:
    if cursor.buffered is not None:
        if len(cursor.buffered) <= MAX_BUFFERED_EVENTS:
            cursor.buffered.append((event, data))
        return True
    if cursor.was_delivered(event, data):
        return True
    cursor.mark_delivered(event, data)
    return False
