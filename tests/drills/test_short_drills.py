"""The dozen most telling drills, with short times: what `make drill` shows at length."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills import drill as drilling
from drills.drill import Drill
from drills.faults import everything
from drills.rig import Rig
from drills.stage import Row, play

pytestmark = [pytest.mark.service, pytest.mark.slow]
SEED = 20261126
SLACK_SECONDS = 8.0
"""A machine that builds and tests may be ten times slower than one that serves."""
SHORT = [one for one in everything().values() if one.short]


class Rigs:
    """One rig for all drills that can share it; a fresh one after a row that did not hold."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rig: Rig | None = None

    def fitting(self, drill: Drill) -> Rig:
        if self._rig is None or not drill.fits(self._rig):
            self.close()
            self._rig = drill.rig(self._folder / "rig", print).__enter__()
        return self._rig

    def close(self) -> None:
        rig, self._rig = self._rig, None
        if rig is not None:
            rig.close()


@pytest.fixture(scope="module")
def rigs() -> Iterator[Rigs]:
    with tempfile.TemporaryDirectory(
        prefix="notifications-drill-", ignore_cleanup_errors=True
    ) as d:
        Path(d).chmod(0o755)  # PostgreSQL runs as a user of its own when we are root
        made = Rigs(Path(d))
        yield made
        made.close()


def told(row: Row) -> str:
    return "\n".join(f"{name}: {one}" for name, said in row.faults.items() for one in said)


@pytest.mark.parametrize("drill", SHORT, ids=lambda one: one.name)
def test_a_drill_holds(rigs: Rigs, drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drilling, "SLACK_SECONDS", SLACK_SECONDS)

    row = play(drill, rigs.fitting(drill), SEED, True, print)

    if not row.holds:
        rigs.close()
    assert row.holds, told(row)
