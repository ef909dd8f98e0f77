"""python -m app.devtools.storm: what it refuses, its progress line and its table."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app.devtools.storm import __main__ as command
from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE, compare
from app.devtools.storm.options import StormOptions
from harness.network import free_port
from tests.support.fake_app import fake_environment

FIGURES = {"accepted": 1_000, "acceptedPerSecond": 100.0, "offeredPerSecond": 100.0, "walBytes": 4_000}
OPTIONS = asdict(StormOptions(likes=1_000, people=1_000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--likes", "10"], "Likes must be between"), ([], "No response from 127.0.0.1")],
)
def test_storm_that_cannot_start_prints_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("PORT", str(free_port()))
    for name, value in fake_environment(tmp_path).items():
        monkeypatch.setenv(name, value)

    assert command.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "storms").exists()


def test_progress_line_has_a_bar_and_the_counts() -> None:
    sample = {
        "way": PIPELINE,
        "second": 4,
        "answered": 500,
        "accepted": 500,
        "written": None,
        "announced": 3,
    }

    line = command._format_progress({"options": OPTIONS}, sample)

    assert line == f"pipeline     [{'#' * 7}{'.' * 23}]   4 s  accepted 500, written -, announced 3"


def test_result_shows_both_ways_and_what_was_lost(capsys: pytest.CaptureFixture[str]) -> None:
    def way(p99_ms: float, lost: int) -> dict[str, Any]:
        ledger = {"accepted": 1_000, "written": 1_000 - lost, "announced": None, "lost": lost, "doubled": 0}
        problems = ["like of somebody"] if lost else []
        return {
            "figures": FIGURES | {"answerP99Ms": p99_ms, "notSent": 2},
            "ledger": ledger | {"problems": problems},
            "messageCount": 1,
            "messages": ["Ada 1 liked your post"],
        }

    ways = {ROW_PER_LIKE: way(300.0, 0), PIPELINE: way(20.0, 1)}
    comparison = compare(ways[ROW_PER_LIKE]["figures"], ways[PIPELINE]["figures"])
    state = {
        "id": "s",
        "state": "done",
        "error": None,
        "ways": ways,
        "comparison": comparison,
        "remarks": ["R"],
    }

    command._print_result(state)

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Accepting answer, p99, ms 300.0 20.0 pipeline" in lines
    assert "WAL, bytes 4,000 4,000 equal" in lines
    assert "Not sent, because it fell behind 2 2 equal" in lines
    assert "Lost 0 1" in lines
    assert {"- R", "! like of somebody", "Ada 1 liked your post"} <= set(lines)
