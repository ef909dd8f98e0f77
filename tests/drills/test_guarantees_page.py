"""docs/guarantees.md: every guarantee has drills, and a broken drill is marked."""

from pathlib import Path

import pytest

from drills import guarantees, report
from drills.faults import load_drills
from drills.guarantees import GUARANTEES
from drills.runner import DrillResult

DRILLS = load_drills()


@pytest.mark.parametrize("guarantee_id", GUARANTEES)
def test_every_guarantee_has_a_drill(guarantee_id: str) -> None:
    assert any(guarantee_id in drill.guarantee_ids for drill in DRILLS.values())


def test_drills_show_documented_guarantees_only() -> None:
    assert {guarantee_id for drill in DRILLS.values() for guarantee_id in drill.guarantee_ids} == set(
        GUARANTEES
    )


@pytest.fixture
def last_report(tmp_path: Path) -> Path:
    """Two runs: poison passed in the first, kafka-killed failed in the second."""
    options: dict[str, object] = {"seed": 7, "short": True}
    report.write_report(tmp_path, [DrillResult("poison", "invalid records", ("P10",), 7)], options)
    failed = DrillResult("kafka-killed", "Kafka", ("P6",), 7, outcome="BROKEN", lost_count=3)
    failed.violations = {"lost": ["one", "two", "three"]}
    report.write_report(tmp_path, [failed], options)
    return tmp_path / "last.json"


def test_guarantees_page_has_the_last_result_of_each_drill(last_report: Path) -> None:
    page = guarantees.render_page(last_report, DRILLS)

    assert "| poison | invalid records |" in page
    assert "**kafka-killed: BROKEN**" in page
    assert "- kafka-killed, lost: one (and 2 more)" in page
    assert "clean-stop°" in page


def test_later_run_replaces_a_result(last_report: Path) -> None:
    report.write_report(last_report.parent, [DrillResult("kafka-killed", "Kafka", ("P6",), 8)], {"seed": 8})

    assert "BROKEN" not in guarantees.render_page(last_report, DRILLS)
