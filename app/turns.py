"""Turns: each socket hears each frame once and in order, whichever way and from whomever it comes.

In    app/listener.py asks before it emits to a room
Out   app/sockets.py tells what a socket that joins had to wait for

While a socket joins, `missed` is being read; what comes meanwhile waits for it. What stood in
`missed` already may yet come out of Kafka: the socket is passed over. So a client that notes the
highest number it has heard can be cut off at any moment and has no gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_WAITING = 300
BADGE = "unread_count"
Frame = tuple[str, Any]


@dataclass(slots=True)
class _Turn:
    told: int = 0
    """It has all frames up to this number, out of `missed` or live; 0: it started afresh."""
    beyond: set[int] = field(default_factory=set)
    """And these, past a gap."""
    badge: int = -1
    """The version of the newest badge that it was told."""
    waiting: list[Frame] | None = None
    """None: nothing is held back."""

    def has(self, event: str, data: Any) -> bool:
        if event == BADGE:
            return int(data["version"]) <= self.badge
        seq = int(data.get("seq") or 0)
        return 0 < seq <= self.told or seq in self.beyond

    def note(self, event: str, data: Any) -> None:
        if event == BADGE:
            self.badge = int(data["version"])
        elif seq := int(data.get("seq") or 0):
            self.told = self.told or seq - 1
            self.beyond.add(seq)
            if len(self.beyond) > MOST_WAITING:
                self.told = min(self.beyond)
            self.catch_up()

    def catch_up(self) -> None:
        """Gaps that were filled are none any more."""
        self.beyond = {seq for seq in self.beyond if seq > self.told}
        while self.told + 1 in self.beyond:
            self.told += 1
            self.beyond.remove(self.told)


@dataclass(slots=True)
class Turns:
    _rooms: dict[str, dict[str, _Turn]] = field(default_factory=dict)

    def hold(self, room: str, sid: str) -> None:
        """From now on what comes for this socket waits."""
        turn = self._rooms.setdefault(room, {}).setdefault(sid, _Turn())
        if turn.waiting is None:
            turn.waiting = []

    def release(
        self, room: str, sid: str, told: int = 0, badge: tuple[int, int] | None = None
    ) -> Iterator[Frame]:
        """The badge (version, count) as `missed` left it, and what waited and did not stand there;
        afterwards nothing waits. Raises Overdue.

        Must be emitted before anything else gets a turn (emitting does not switch greenlets).
        """
        turn = self._rooms.get(room, {}).get(sid)
        if turn is None or turn.waiting is None:
            return
        waiting, turn.waiting = turn.waiting, None
        turn.told = max(turn.told, told)
        turn.catch_up()
        if len(waiting) > MOST_WAITING:
            raise Overdue
        if badge:
            waiting.insert(0, (BADGE, {"count": badge[1], "version": badge[0]}))
        for event, data in waiting:
            if not turn.has(event, data):
                turn.note(event, data)
                yield event, data

    def forget(self, room: str, sid: str) -> None:
        turns = self._rooms.get(room, {})
        turns.pop(sid, None)
        if not turns:
            self._rooms.pop(room, None)

    def passed_over(self, room: object, event: str, data: Any) -> list[str]:
        """Who in this room must not hear this now."""
        if not isinstance(room, str) or not isinstance(data, dict):
            return []
        return [
            sid for sid, turn in self._rooms.get(room, {}).items() if _must_not(turn, event, data)
        ]


class Overdue(Exception):
    """More came for a joining socket than is kept for it: let it come back and ask."""


def _must_not(turn: _Turn, event: str, data: Any) -> bool:
    if turn.waiting is not None:
        if len(turn.waiting) <= MOST_WAITING:
            turn.waiting.append((event, data))
        return True
    if turn.has(event, data):
        return True
    turn.note(event, data)
    return False
