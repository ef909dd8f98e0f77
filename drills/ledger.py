"""The client's ledger: what was attempted, noted before it was sent, and how it was answered.

In    a JSONL file that drills/crowd.py appends to
Out   attempts, frames and joins for drills/checker.py

Classes of an answer: `ok` (2xx); `refused` (4xx, or nobody listened: it has no effect); `put off`
(429 or 503: it may have one, at most once); `unknown` (cut or timed out: the same).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OK, REFUSED, PUT_OFF, UNKNOWN = "ok", "refused", "put off", "unknown"
WISHES = {"like": True, "unlike": False, "follow": True, "unfollow": False}
WRITES = (*WISHES, "comment", "otp")


@dataclass(slots=True)
class Attempt:
    """One request. Repeats of one operation share `op` and count up `number`."""

    op: int
    number: int
    kind: str
    actor: str
    object: str
    sent: float
    keyed: bool = False
    """It carried an Idempotency-Key, so that repeating it is safe."""
    outcome: str = UNKNOWN
    """Until something else is noted: a client that died knows nothing."""
    answered: float = 0.0
    status: int = 0
    code: str | None = None
    retry_after: str | None = None
    server: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    """count, active, id, stale: what of the body matters."""

    @property
    def seconds(self) -> float:
        return self.answered - self.sent


@dataclass(frozen=True, slots=True)
class Frame:
    """Something that a socket heard. `live`: pushed; else told as missed after a join."""

    who: str
    at: float
    event: str
    id: str | None
    seq: int | None
    version: int | None
    type: str | None
    live: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Join:
    who: str
    at: float
    epoch: str | None
    seq: int | None
    recovered: bool
    first: bool


@dataclass(slots=True)
class Ledger:
    attempts: list[Attempt] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    lateness: float = 0.0
    """How late the client's own timer was at worst: what the machine, not the product, cost."""

    def of(self, *kinds: str) -> list[Attempt]:
        return [one for one in self.attempts if one.kind in kinds]

    def operations(self, *kinds: str) -> dict[int, list[Attempt]]:
        """All attempts of each operation, in order."""
        found: dict[int, list[Attempt]] = {}
        for one in self.of(*kinds):
            found.setdefault(one.op, []).append(one)
        return found


def read(path: Path) -> Ledger:
    with path.open() as lines:
        return parse(lines)


def parse(lines: Iterable[str]) -> Ledger:
    """A last line that a death cut short is left out."""
    ledger = Ledger()
    open_: dict[tuple[int, int], Attempt] = {}
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        _take(ledger, open_, said.pop("e"), said)
    return ledger


def _take(
    ledger: Ledger, open_: dict[tuple[int, int], Attempt], what: str, said: dict[str, Any]
) -> None:
    match what:
        case "try":
            attempt = Attempt(**said)
            open_[attempt.op, attempt.number] = attempt
            ledger.attempts.append(attempt)
        case "got":
            attempt = open_[said.pop("op"), said.pop("number")]
            for name, value in said.items():
                setattr(attempt, name, value)
        case "frame":
            ledger.frames.append(Frame(**said))
        case "join":
            ledger.joins.append(Join(**said))
        case "late":
            ledger.lateness = max(ledger.lateness, float(said["seconds"]))
