"""docs/promises.md: every promise has its drills, and a row that did not hold says so."""

import json
from pathlib import Path

import pytest

from drills import promises, report
from drills.faults import everything
from drills.promises import PROMISES
from drills.stage import Row

DRILLS = everything()


@pytest.mark.parametrize("name", PROMISES)
def test_every_promise_is_shown_by_a_drill(name: str) -> None:
    assert any(name in one.promises for one in DRILLS.values())


def test_no_drill_shows_what_is_not_promised() -> None:
    assert {name for one in DRILLS.values() for name in one.promises} == set(PROMISES)


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """Two runs: poison held in the first, kafka-killed broke in the second."""
    options: dict[str, object] = {"seed": 7, "short": True}
    report.write(tmp_path, [Row("poison", "nonsense", ("P10",), 7)], options)
    broken = Row("kafka-killed", "Kafka", ("P6",), 7, verdict="BROKEN", lost=3)
    broken.faults = {"lost": ["one", "two", "three"]}
    report.write(tmp_path, [broken], options)
    return tmp_path / "last.json"


def test_the_page_has_the_last_row_of_each_drill(last: Path) -> None:
    page = promises.text(json.loads(last.read_text()), DRILLS)

    assert "| poison | nonsense |" in page
    assert "**kafka-killed: BROKEN**" in page
    assert "- kafka-killed, lost: one (and 2 more)" in page
    assert "clean-stop°" in page


def test_a_later_run_replaces_a_row(last: Path) -> None:
    report.write(last.parent, [Row("kafka-killed", "Kafka", ("P6",), 8)], {"seed": 8})

    assert "BROKEN" not in promises.text(json.loads(last.read_text()), DRILLS)
