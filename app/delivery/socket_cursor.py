"""Cursor of a socket: the one place of a web process that orders client events and drops duplicates. No I/O.

Input: every client event of its user, whichever path it took, and what the history has
(app/delivery/socket_dispatcher.py). Output: the events to send now. A socket gets each number once and in
order; an event beyond a gap waits until the history has filled it. So a client that stores the highest
number it has received can be disconnected at any moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.domain.events import Priority
from app.domain.grouping import UNREAD_COUNT_EVENT, ClientEventType
from app.domain.resume import MAX_MISSED_EVENTS

MAX_WAITING_EVENTS = MAX_MISSED_EVENTS
MAX_PREVIEW_IDS = 64
"""Copies of a preview arrive within seconds."""
ClientEvent = tuple[str, dict[str, Any]]


class TooManyWaitingEvents(Exception):
    """The socket has to be closed; its client reconnects and resumes."""


@dataclass(slots=True)
class SocketCursor:
    user_id: str
    sid: str
    last_client_seq: int | None = None
    """The client has every event up to this number. None: not known, the first number decides."""
    newest_known_seq: int = 0
    """The highest number of an event or a NOTIFY that arrived."""
    must_read_history: bool = False
    """The history may have events that are not known here."""
    is_held: bool = True
    """Numbered events wait, because a join is expected or being handled."""
    _pending_joins: int = 0
    _waiting: dict[int, ClientEvent] = field(default_factory=dict)
    _badge_version: int = -1
    _preview_ids: tuple[str, ...] = ()

    @property
    def is_behind(self) -> bool:
        """Whether the history has to be read before another numbered event can be sent."""
        if self.is_held or self.last_client_seq is None:
            return False
        return self.must_read_history or self.newest_known_seq > self.last_client_seq

    @property
    def has_waiting_events(self) -> bool:
        return bool(self._waiting)

    def accept(self, event: str, data: dict[str, Any]) -> list[ClientEvent]:
        """The events to send now. Raises TooManyWaitingEvents."""
        if event == UNREAD_COUNT_EVENT:
            return self._accept_unread_count(data)
        client_seq = data.get("seq")
        if client_seq is None:
            return self._accept_preview_once(event, data)
        if client_seq <= (self.last_client_seq or 0):
            return []
        self._waiting[client_seq] = event, data
        client_events = self.expect(client_seq)
        if len(self._waiting) > MAX_WAITING_EVENTS:
            raise TooManyWaitingEvents
        return client_events

    def expect(self, client_seq: int) -> list[ClientEvent]:
        """The event with this number exists, here or in the history. Returns the events to send now."""
        self.newest_known_seq = max(self.newest_known_seq, client_seq)
        return self._take_in_order()

    def begin_history_read(self) -> int:
        """Returns what accept_history() needs."""
        self.must_read_history = False
        return self.newest_known_seq

    def accept_history(self, client_events: Iterable[ClientEvent], known_seq: int) -> list[ClientEvent]:
        """The events to send now. `client_events`: all that the history has after last_client_seq, in order;
        `known_seq`: from begin_history_read(). Numbers below these that the history lacks were purged."""
        unread_counts = []
        for event, data in client_events:
            if event == UNREAD_COUNT_EVENT:
                unread_counts += self._accept_unread_count(data)
            elif data["seq"] > (self.last_client_seq or 0):
                self._waiting[data["seq"]] = event, data
                known_seq = max(known_seq, data["seq"])
        if self.is_held:  # joins again: the events wait
            return unread_counts
        filled = [self._waiting.pop(seq) for seq in sorted(self._waiting) if seq <= known_seq]
        self.last_client_seq = max(self.last_client_seq or 0, known_seq)
        return filled + self._take_in_order() + unread_counts

    def begin_join(self) -> None:
        self._pending_joins += 1
        self.is_held = True

    def end_join(self, client_seq: int | None) -> list[ClientEvent]:
        """The events to send now. The client has, or loads, everything up to `client_seq`; None: the history
        is unavailable."""
        self._pending_joins -= 1
        if client_seq is not None:
            last_client_seq = self.last_client_seq = max(self.last_client_seq or 0, client_seq)
            self._waiting = {seq: waiting for seq, waiting in self._waiting.items() if seq > last_client_seq}
        return self.take_held_events()

    def take_held_events(self) -> list[ClientEvent]:
        """Ends the wait for a join, unless one is being handled. Returns the events to send now."""
        self.is_held = self._pending_joins > 0
        return self._take_in_order()

    def take_previews(self) -> list[ClientEvent]:
        """The critical announcements that wait, without their numbers, each once: they follow again in order
        (docs/socket-api.md)."""
        previews = []
        for event, data in self._waiting.values():
            if is_critical_announcement(event, data):
                preview = {name: value for name, value in data.items() if name != "seq"}
                previews += self._accept_preview_once(event, preview)
        return previews

    def _take_in_order(self) -> list[ClientEvent]:
        if self.is_held or not self.newest_known_seq:
            return []
        if self.last_client_seq is None:
            self.last_client_seq = min(self._waiting, default=self.newest_known_seq) - 1
        taken = []
        while client_event := self._waiting.pop(self.last_client_seq + 1, None):
            self.last_client_seq += 1
            taken.append(client_event)
        return taken

    def _accept_unread_count(self, data: dict[str, Any]) -> list[ClientEvent]:
        """A lower version never follows a higher one."""
        if data["version"] <= self._badge_version:
            return []
        self._badge_version = data["version"]
        return [(UNREAD_COUNT_EVENT, data)]

    def _accept_preview_once(self, event: str, data: dict[str, Any]) -> list[ClientEvent]:
        """A preview has no number; the web process that accepted its event gets it on two paths."""
        if data.get("id") in self._preview_ids:
            return []
        if "id" in data:
            self._preview_ids = (*self._preview_ids[1 - MAX_PREVIEW_IDS :], data["id"])
        return [(event, data)]


def is_critical_announcement(event: str, data: dict[str, Any]) -> bool:
    return event == ClientEventType.ANNOUNCED.value and data.get("priority") == Priority.CRITICAL.value
