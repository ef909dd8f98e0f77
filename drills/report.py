"""Prints drill results as a table and writes them to DATA_DIR/drills/<date>.json and last.json."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from drills.runner import DrillResult
from infra.paths import PROJECT_ROOT

TABLE_COLUMNS = (
    "drill",
    "fault",
    "acknowledged",
    "refused",
    "unknown",
    "lost",
    "unexpected",
    "slowest s",
    "OTP p99 s (delivered)",
    "drain s",
    "outcome",
)


def print_table(results: Sequence[DrillResult], console: Console) -> None:
    table = Table(title="Drills", title_justify="left")
    for label in TABLE_COLUMNS:
        numeric = label not in ("drill", "fault", "outcome")
        table.add_column(label, justify="right" if numeric else "left")
    for result in results:
        table.add_row(*format_table_cells(result), style="" if result.passed else "bold red")
    console.print(table)
    for result in results:
        for label, violations in result.violations.items():
            for violation in violations[:5]:
                console.print(f"  {result.drill_name}, {label}: {violation}", highlight=False, style="red")


def format_table_cells(result: DrillResult) -> list[str]:
    return [
        result.drill_name,
        result.fault_description,
        f"{result.acknowledged_count:,}",
        f"{result.refused_count:,}",
        f"{result.unknown_count:,}",
        str(result.lost_count),
        str(result.unexpected_count),
        f"{result.max_response_seconds:.2f}",
        f"{result.otp_p99_seconds:.2f} ({result.delivered_otp_count})",
        f"{result.drain_seconds:.1f}",
        result.outcome,
    ]


def write_report(folder: Path, results: Sequence[DrillResult], run_options: dict[str, object]) -> Path:
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%dT%H-%M-%SZ}.json"
    run = {"at": f"{now:%Y-%m-%d %H:%M}", "commit": _read_git_commit(), **run_options}
    report: dict[str, Any] = {
        "machine": {
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "rows": [result.to_dict() | {"run": run} for result in results],
    }
    path.write_text(json.dumps(report, indent=1, default=str) + "\n")
    _update_last_rows(folder / "last.json", report)
    return path


def _update_last_rows(last_path: Path, report: dict[str, Any]) -> None:
    """last.json has the last result of each drill, whichever run it was in."""
    previous_rows = read_last_rows(last_path) if last_path.exists() else []
    rows_by_drill = {row["drill_name"]: row for row in [*previous_rows, *report["rows"]]}
    last_path.write_text(
        json.dumps(report | {"rows": list(rows_by_drill.values())}, indent=1, default=str) + "\n"
    )


def read_last_rows(last_path: Path) -> list[dict[str, Any]]:
    """The rows of last.json."""
    return list(json.loads(last_path.read_text())["rows"])


def _read_git_commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        result = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()
