"""Which client events each user connected to this process has received. No I/O.

An event may arrive over Redis, over NOTIFY and directly; only the first copy is
emitted (app/delivery/socket_dispatcher.py). Bounded: only the newest numbers of connected users are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Key = TypeVar("Key", int, str)

MAX_REMEMBERED = 64
"""Copies arrive within seconds; clients themselves drop copies of older events."""
UNREAD_COUNT_EVENT = "unread_count"


@dataclass(slots=True)
class UserDeliveryState:
    base_seq: int | None = None
    """client_seq of the history when the user connected; None: not known."""
    delivered_seqs: dict[int, None] = field(default_factory=dict)
    unnumbered_ids: dict[str, None] = field(default_factory=dict)
    """Ids of events that were emitted before they had a client_seq (previews)."""
    badge_version: int = -1


class DeliveredEventTracker:
    def __init__(self) -> None:
        self._cursors: dict[str, UserDeliveryState] = {}

    def start_tracking(self, user_id: str, base_seq: int | None) -> None:
        """For a user who joined: events from now on follow `base_seq`."""
        cursor = self._cursors.setdefault(user_id, UserDeliveryState())
        if cursor.base_seq is None:
            cursor.base_seq = base_seq

    def stop_tracking(self, user_id: str) -> None:
        """For a user whose last connection was closed."""
        self._cursors.pop(user_id, None)

    def connected_user_ids(self) -> list[str]:
        return list(self._cursors)

    def last_delivered_client_seq(self, user_id: str) -> int | None:
        """The highest client_seq delivered to the user, if known."""
        cursor = self._cursors.get(user_id)
        if cursor is None:
            return None
        highest_delivered = max(cursor.delivered_seqs, default=None)
        return cursor.base_seq if highest_delivered is None else max(highest_delivered, cursor.base_seq or 0)

    def is_user_connected(self, user_id: str) -> bool:
        return user_id in self._cursors

    def was_delivered(self, user_id: str, client_seq: int) -> bool:
        cursor = self._cursors.get(user_id)
        return cursor is not None and client_seq in cursor.delivered_seqs

    def mark_delivered_if_new(self, user_id: str, event: str, data: object) -> bool:
        """Whether the user has not received this event yet; marks it as received."""
        cursor = self._cursors.get(user_id)
        if cursor is None or not isinstance(data, Mapping):
            return True
        if event == UNREAD_COUNT_EVENT:
            return _advance_badge_version_if_newer(cursor, data.get("version"))
        client_seq = data.get("seq")
        if isinstance(client_seq, int):
            return _add_key_if_new(cursor.delivered_seqs, client_seq)
        return _add_key_if_new(cursor.unnumbered_ids, str(data["id"])) if "id" in data else True


def _advance_badge_version_if_newer(cursor: UserDeliveryState, version: object) -> bool:
    """Whether the version is newer than all before."""
    if not isinstance(version, int):
        return True
    if version <= cursor.badge_version:
        return False
    cursor.badge_version = version
    return True


def _add_key_if_new(delivered: dict[Key, None], key: Key) -> bool:
    """Adds the key and returns whether it was new; drops the oldest key when full."""
    if key in delivered:
        return False
    delivered[key] = None
    if len(delivered) > MAX_REMEMBERED:
        del delivered[next(iter(delivered))]
    return True
