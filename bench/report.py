"""The table on the terminal and the JSON beside it.

In    bench/figures.py: Figure
Out   the terminal; DATA_DIR/bench/<date>.json
"""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import (
    Compare,
    Figure,
    Slice,
    cpu_ratio,
    cpu_us,
    latencies,
    percentile,
    rates,
    ratio,
    spread,
)


def show(figure: Figure, console: Console) -> None:
    """One row per contestant; the ratio is the median of its rounds, with their middle half."""
    table = Table(title=f"{figure.name}: {figure.title}", title_justify="left")
    table.add_column("")
    found = rows(figure)
    cells = {name: _cells(row, figure.unit) for name, row in found.items()}
    headings = [one for one in next(iter(cells.values())) if any(c[one] for c in cells.values())]
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, row in cells.items():
        told = f"{name} (baseline)" if _is_baseline(figure, name) else name
        table.add_row(told, *[row[heading] for heading in headings])
    console.print(table)
    for name, value in figure.facts.items():
        console.print(f"  {name}: {value}", highlight=False)
    for goal in figure.goals:
        word = "reached" if goal.met else "MISSED"
        sign = "<=" if goal.at_most else ">="
        console.print(
            f"  goal {word}: {goal.says}: {goal.reached:.2f} {sign} {goal.wanted:g}",
            highlight=False,
        )
    for note in figure.notes:
        console.print(f"  {note}", highlight=False, style="dim")
    for sentence in figure.broken:
        console.print(f"  BROKEN: {sentence}", style="bold red")
    console.print()


def _is_baseline(figure: Figure, name: str) -> bool:
    return figure.beside.get(name, figure.baseline) == name


def rows(figure: Figure) -> dict[str, dict[str, Any]]:
    """What the table shows, as plain values."""
    return {
        name: _row(slices, figure.rounds[figure.beside.get(name, figure.baseline)], figure.compare)
        for name, slices in figure.rounds.items()
    }


def write(folder: Path, figures: Sequence[Figure], options: dict[str, object]) -> Path:
    """Every slice is kept, so that a doubt can be followed up; latencies only as percentiles."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%dT%H-%M-%SZ}.json"
    machine = {
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    told = {
        "at": now.isoformat(),
        "machine": machine,
        "options": options,
        "figures": [_figure(one) for one in figures],
    }
    path.write_text(json.dumps(told, indent=1, default=str) + "\n")
    return path


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "title": figure.title,
        "unit": figure.unit,
        "baseline": figure.baseline,
        "rows": rows(figure),
        "facts": figure.facts,
        "goals": [asdict(goal) | {"met": goal.met} for goal in figure.goals],
        "broken": figure.broken,
        "notes": figure.notes,
        "slices": {name: [_slice(one) for one in some] for name, some in figure.rounds.items()},
    }


def _slice(one: Slice) -> dict[str, Any]:
    kept = asdict(one)
    kept["latencies_ms"] = _percentiles([one])
    return kept | {"rate": one.rate}


def _row(slices: Sequence[Slice], base: Sequence[Slice], compare: Compare | None) -> dict[str, Any]:
    by_cpu = cpu_ratio(slices, base)
    known = [one.transactions for one in slices if one.transactions is not None]
    return {
        "rate": asdict(rates(slices)),
        "ratio": asdict((compare or ratio)(slices, base)),
        "cpu_ratio": asdict(by_cpu) if by_cpu else None,
        "latency_ms": _percentiles(slices),
        "cpu_us": cpu_us(slices),
        "transactions": spread(known).median if known else None,
        "done": sum(one.done for one in slices),
    }


def _percentiles(slices: Sequence[Slice]) -> dict[str, float] | None:
    found = latencies(slices)
    if not found:
        return None
    return {"p50": percentile(found, 50), "p99": percentile(found, 99), "worst": max(found)}


def _cells(row: dict[str, Any], unit: str) -> dict[str, str]:
    rate, late = row["rate"], row["latency_ms"]
    return {
        unit: f"{rate['median']:,.0f}",
        "middle half": f"{rate['low']:,.0f}-{rate['high']:,.0f}",
        "x baseline": _times(row["ratio"]),
        "p50 ms": f"{late['p50']:.1f}" if late else "",
        "p99 ms": f"{late['p99']:.1f}" if late else "",
        "CPU us": f"{row['cpu_us']:.0f}" if row["cpu_us"] else "",
        "x by CPU": _times(row["cpu_ratio"]) if row["cpu_ratio"] else "",
        "transactions": f"{row['transactions']:,.0f}" if row["transactions"] is not None else "",
    }


def _times(times: dict[str, float]) -> str:
    return f"{times['median']:.2f} ({times['low']:.2f}-{times['high']:.2f})"
