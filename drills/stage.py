"""The stage: plays one drill on a rig, waits for rest, has the checker look, and says a row.

In    drills/drill.py: Drill
Out   drills/report.py: Row
"""

import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from drills import cast as casting
from drills import evidence as looking
from drills import hearing, ledger, reading
from drills.cast import Behaviour
from drills.checker import Bounds, Found, check
from drills.drill import Drill, Scene
from drills.evidence import Evidence
from drills.hands import Crowd, Memory
from drills.rest import come_to_rest
from drills.rig import Rig
from drills.words import tally

LEAD_SECONDS, TAIL_SECONDS = 4.0, 4.0


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
        if left := come_to_rest(rig, cast, path, drill.rest_seconds, drill.most_lost(scene)):
            row.faults["rest"] = [f"not within {drill.rest_seconds:.0f} s: {left}"]
        row.drain_seconds = time.monotonic() - healed
    finally:
        memory.close()
        crowd.close()
    book = ledger.read(path)
    evidence = looking.gather(rig, cast, memory.seen)
    bounds = drill.bounds(scene, book.lateness)
    _fill(row, scene, book, evidence, check(book, evidence, bounds), bounds)
    if row.faults:
        row.verdict = "BROKEN"


def _fill(
    row: Row, scene: Scene, book: ledger.Ledger, evidence: Evidence, found: Found, bounds: Bounds
) -> None:
    counted = tally(book)
    row.acknowledged, row.refused = counted["acknowledged"], counted["refused"]
    row.unknown = counted["unknown"]
    row.lost, row.doubled = len(found.lost), len(found.doubled)
    times = [one.seconds for one in book.attempts if one.answered]
    row.longest_seconds, row.longest_allowed = max(times, default=0.0), bounds.longest
    came = [one for one in hearing.dwells(book, evidence) if one is not None]
    row.critical_p99_seconds, row.critical_count = hearing.p99(came), len(came)
    row.lateness_seconds = book.lateness
    row.memory_mb = {name: max(seen) for name, seen in evidence.memory.items() if seen}
    row.figures = scene.figures
    if scene.returns:
        took = hearing.push_back(book, scene.returns[-1])
        row.figures["live push back after s"] = took and round(took, 2)
        row.figures["last stale answer after s"] = round(
            reading.normal_again(book, scene.returns[-1]), 2
        )
    row.faults |= found.faults
    if len(found.lost) > bounds.may_lose:
        row.faults["lost"] = found.lost
    if found.doubled:
        row.faults["doubled"] = found.doubled
    if scene.complaints:
        row.faults["the act"] = scene.complaints
    # The table shows how many; the first ones are enough to begin with.
    row.faults = {name: said[:20] for name, said in row.faults.items()}
