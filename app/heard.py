"""Heard: what each person connected to this process was told already. Pure.

In    app/crier.py, before each emission
Out   yes or no

A frame may come by Redis, by NOTIFY and directly; whoever comes first is let through. Bounded: the
newest numbers of those who are here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T", int, str)

REMEMBERED = 64
"""Copies follow within seconds. What is older than so many frames is the client's to know."""
BADGE = "unread_count"


@dataclass(slots=True)
class _Ear:
    floor: int | None = None
    """Where the history stood when they came; None: nobody could tell."""
    seqs: dict[int, None] = field(default_factory=dict)
    early: dict[str, None] = field(default_factory=dict)
    """Ids of frames that were told before they had a number."""
    badge: int = -1


class Heard:
    def __init__(self) -> None:
        self._ears: dict[str, _Ear] = {}

    def begin(self, user_id: str, seq: int | None) -> None:
        """Somebody joined; what they are told from now on follows `seq`."""
        ear = self._ears.setdefault(user_id, _Ear())
        if ear.floor is None:
            ear.floor = seq

    def forget(self, user_id: str) -> None:
        """Their last connection is gone."""
        self._ears.pop(user_id, None)

    def here(self) -> list[str]:
        return list(self._ears)

    def last(self, user_id: str) -> int | None:
        """The newest number they were told, as far as we know."""
        ear = self._ears.get(user_id)
        if ear is None:
            return None
        told = max(ear.seqs, default=None)
        return ear.floor if told is None else max(told, ear.floor or 0)

    def knows(self, user_id: str) -> bool:
        return user_id in self._ears

    def has(self, user_id: str, seq: int) -> bool:
        ear = self._ears.get(user_id)
        return ear is not None and seq in ear.seqs

    def takes(self, user_id: str, event: str, data: object) -> bool:
        """Whether this frame is news to them; it is none from then on."""
        ear = self._ears.get(user_id)
        if ear is None or not isinstance(data, Mapping):
            return True
        if event == BADGE:
            return _newer_badge(ear, data.get("version"))
        seq = data.get("seq")
        if isinstance(seq, int):
            return _remember(ear.seqs, seq)
        return _remember(ear.early, str(data["id"])) if "id" in data else True


def _newer_badge(ear: _Ear, version: object) -> bool:
    """A lower version never follows a higher one."""
    if not isinstance(version, int):
        return True
    if version <= ear.badge:
        return False
    ear.badge = version
    return True


def _remember(told: dict[T, None], one: T) -> bool:
    """Whether it was not among them; the one remembered longest gives way."""
    if one in told:
        return False
    told[one] = None
    if len(told) > REMEMBERED:
        del told[next(iter(told))]
    return True
