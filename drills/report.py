"""The table on the terminal and the JSON beside it.

In    drills/stage.py: Row
Out   the terminal; DATA_DIR/drills/<date>.json and last.json
"""

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

from drills.stage import Row
from infra.layout import ROOT

COLUMNS = (
    "drill", "broken", "ack'd", "refused", "unknown", "lost", "doubled",
    "longest s", "critical p99 s", "drain s", "verdict",
)  # fmt: skip


def show(rows: Sequence[Row], console: Console) -> None:
    table = Table(title="What was broken, and what was found", title_justify="left")
    for name in COLUMNS:
        numeric = name not in ("drill", "broken", "verdict")
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*cells(row), style="" if row.holds else "bold red")
    console.print(table)
    for row in rows:
        for name, said in row.faults.items():
            for sentence in said[:5]:
                console.print(f"  {row.name}, {name}: {sentence}", highlight=False, style="red")


def cells(row: Row) -> list[str]:
    return [
        row.name,
        row.breaks,
        f"{row.acknowledged:,}",
        f"{row.refused:,}",
        f"{row.unknown:,}",
        str(row.lost),
        str(row.doubled),
        f"{row.longest_seconds:.2f}",
        f"{row.critical_p99_seconds:.2f} ({row.critical_count})",
        f"{row.drain_seconds:.1f}",
        row.verdict,
    ]


def write(folder: Path, rows: Sequence[Row], options: dict[str, object]) -> Path:
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%dT%H-%M-%SZ}.json"
    run = {"at": f"{now:%Y-%m-%d %H:%M}", "commit": _commit(), **options}
    told: dict[str, Any] = {
        "machine": {
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "rows": [row.as_dict() | {"run": run} for row in rows],
    }
    path.write_text(json.dumps(told, indent=1, default=str) + "\n")
    _remember(folder / "last.json", told)
    return path


def _remember(last: Path, told: dict[str, Any]) -> None:
    """Of each drill its last row, whichever run that was in."""
    known = json.loads(last.read_text())["rows"] if last.exists() else []
    rows = {row["name"]: row for row in [*known, *told["rows"]]}
    last.write_text(json.dumps(told | {"rows": list(rows.values())}, indent=1, default=str) + "\n")


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
