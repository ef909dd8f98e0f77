"""The stage: plays one drill on a rig, waits for rest, has the checker look, and says a row.

In    drills/drill.py: Drill
Out   drills/report.py: Row
"""

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.offsets import offsets
from drills import cast as casting
from drills import evidence as looking
from drills import hearing, ledger
from drills.books import Books
from drills.cast import Behaviour, Cast
from drills.checker import Found, check, comments, criticals, tally, wishes
from drills.drill import Drill, Scene
from drills.evidence import Evidence
from drills.rig import Rig
from infra.layout import ROOT

LEAD_SECONDS, TAIL_SECONDS = 4.0, 4.0
SAMPLE_SECONDS = 1.0
HEARD_SECONDS = 10.0


@dataclass
class Row:
    """One line of the table."""

    name: str
    breaks: str
    promises: tuple[str, ...]
    seed: int
    verdict: str = "holds"
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    lost: int = 0
    doubled: int = 0
    longest_seconds: float = 0.0
    longest_allowed: float = 0.0
    critical_p99_seconds: float = 0.0
    critical_count: int = 0
    drain_seconds: float = 0.0
    took_seconds: float = 0.0
    lateness_seconds: float = 0.0
    memory_mb: dict[str, float] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return self.verdict != "BROKEN"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Crowd:
    """The parent's hand on the crowd process."""

    def __init__(self, order: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "drills.crowd", str(order)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear("ready")

    def rest(self) -> None:
        """No new requests; returns when the last one is answered."""
        self._say("rest")
        self._hear("rested")

    def close(self) -> None:
        if self._child.poll() is None:
            try:
                self._say("bye")
                self._child.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self._child.kill()
                self._child.wait()

    def _say(self, word: str) -> None:
        assert self._child.stdin
        self._child.stdin.write(word + "\n")
        self._child.stdin.flush()

    def _hear(self, word: str) -> None:
        assert self._child.stdout
        if self._child.stdout.readline().strip() != word:
            raise RuntimeError("the crowd ended")


class Memory:
    """MB of every process, once a second."""

    def __init__(self, rig: Rig) -> None:
        self.seen: dict[str, list[float]] = {}
        self._rig = rig
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(10)

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            for name, many in self._rig.memory().items():
                self.seen.setdefault(name, []).append(many)


def play(drill: Drill, rig: Rig | None, seed: int, short: bool, say: Callable[[str], None]) -> Row:
    """Whatever goes wrong becomes a row that says so. No rig: it is not possible here."""
    row = Row(drill.name, drill.breaks, drill.promises, seed)
    began = time.monotonic()
    if reason := drill.impossible():
        row.verdict = f"not possible here: {reason}"
        return row
    assert rig is not None
    try:
        _play(drill, rig, row, short, say)
    except Exception as fault:  # the other drills still have something to say
        row.verdict = "BROKEN"
        row.faults["the drill itself"] = [f"{type(fault).__name__}: {fault}"]
        rig.thaw()
    row.took_seconds = time.monotonic() - began
    if not row.holds:
        _keep(rig, row)
    return row


def _keep(rig: Rig, row: Row) -> None:
    """The rig's folder is swept by the next one; what a broken row has to say for itself stays."""
    folder = rig.folder.parent / "broken" / row.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(rig.folder / row.name, folder)
    shutil.copytree(rig.folder / "logs", folder / "logs")
    (folder / "row.json").write_text(json.dumps(row.as_dict(), indent=1, default=str))


def _play(drill: Drill, rig: Rig, row: Row, short: bool, say: Callable[[str], None]) -> None:
    draw = random.Random(f"{row.seed}:{drill.name}")
    cast = casting.make(rig.engine)
    folder = rig.folder / drill.name
    folder.mkdir(exist_ok=True)
    path = folder / "ledger.jsonl"
    path.unlink(missing_ok=True)
    behaviour = Behaviour(seed=row.seed, **dict(drill.behaviour))
    casting.write(folder / "order.json", cast, behaviour, rig.ports, path)
    scene = Scene(rig, cast, draw, short, say)
    scene.poison |= looking.dead_letters(rig)  # of drills before this one
    memory = Memory(rig)
    crowd = Crowd(folder / "order.json")
    try:
        scene.load(LEAD_SECONDS)
        drill.act(scene)
        healed = time.monotonic()
        scene.load(TAIL_SECONDS)
        crowd.rest()
        row.drain_seconds = _come_to_rest(rig, cast, path, drill.rest_seconds, row, healed)
    finally:
        memory.close()
        crowd.close()
    book = ledger.read(path)
    evidence = looking.gather(rig, cast, memory.seen)
    bounds = drill.bounds(scene, book.lateness)
    _fill(row, scene, book, evidence, check(book, evidence, bounds), bounds.longest)
    if row.lost > bounds.may_lose or row.doubled or row.faults:
        row.verdict = "BROKEN"


def _fill(
    row: Row, scene: Scene, book: ledger.Ledger, evidence: Evidence, found: Found, allowed: float
) -> None:
    counted = tally(book)
    row.acknowledged, row.refused = counted["acknowledged"], counted["refused"]
    row.unknown = counted["unknown"]
    row.lost, row.doubled = len(found.lost), len(found.doubled)
    times = [one.seconds for one in book.attempts if one.answered]
    row.longest_seconds, row.longest_allowed = max(times, default=0.0), allowed
    came = [one for one in hearing.dwells(book, evidence) if one is not None]
    row.critical_p99_seconds, row.critical_count = hearing.p99(came), len(came)
    row.lateness_seconds = book.lateness
    row.memory_mb = {name: max(seen) for name, seen in evidence.memory.items() if seen}
    row.figures = scene.figures
    row.faults |= found.faults
    for name, said in (("lost", found.lost), ("doubled", found.doubled)):
        if said:
            row.faults[name] = said
    if scene.complaints:
        row.faults["the act"] = scene.complaints
    # The table shows how many; the first ones are enough to begin with.
    row.faults = {name: said[:20] for name, said in row.faults.items()}


def _come_to_rest(
    rig: Rig, cast: Cast, path: Path, seconds: float, row: Row, healed: float
) -> float:
    """Waits until nothing is under way; how long after the fault that was."""
    began = time.monotonic()
    while left := _under_way(rig, cast, path):
        if time.monotonic() - began > seconds:
            row.faults["rest"] = [f"not within {seconds:.0f} s: {left}"]
            break
        time.sleep(0.25)
    return time.monotonic() - healed


def _under_way(rig: Rig, cast: Cast, path: Path) -> str:
    """What is not at rest yet, in words; empty when all is. The quickest look first."""
    if left := Books(rig.engine, rig.redis).unsettled():
        return "; ".join(left)
    book = ledger.read(path)
    seen = Evidence(
        wishes=looking.stored_wishes(rig, cast),
        comments=looking.stored_comments(rig, cast),
        critical=looking.stored_codes(rig, cast),
    )
    for judge in (wishes, comments, criticals):
        if lost := judge(book, seen)[0]:
            return f"{len(lost)} acknowledged are not there, e.g. {lost[0]}"
    if lag := {f"{one.group}/{one.partition}": one.lag for one in _lags(rig) if one.lag}:
        return f"lag {lag}"
    return _unheard(rig, cast, book)


def _unheard(rig: Rig, cast: Cast, book: ledger.Ledger) -> str:
    highest: dict[str, int] = {}
    for one in book.frames:
        highest[one.who] = max(highest.get(one.who, 0), one.seq or 0)
    numbers = looking.frame_numbers(rig, cast.listeners)
    behind = [who for who, seq in numbers.items() if highest.get(who, 0) < seq]
    return f"{len(behind)} sockets have not heard their last frame" if behind else ""


def _lags(rig: Rig) -> list[Any]:
    address = rig.environment["KAFKA_BOOTSTRAP_SERVERS"]
    return list(offsets((address,)))
