"""Prints benchmark results as tables and writes them to DATA_DIR/bench/<date>.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import read_commit
from bench.results import (
    BenchmarkResult,
    Compare,
    Measurement,
    cpu_efficiency_ratio,
    latency_spread,
    median_cpu_microseconds,
    part_spread,
    rate_spread,
    spread,
    throughput_ratio,
)

Row = list[str]
JsonDict = dict[str, Any]


def print_result(result: JsonDict, console: Console) -> None:
    """`result`: of result_to_dict."""
    for title, (headings, *rows) in result_tables(result):
        table = Table(title=f"{result['id']}: {title}", title_justify="left")
        for index, heading in enumerate(headings):
            table.add_column(heading, justify="right" if index else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for name, value in result["facts"].items():
        console.print(f"  {name}: {format_value(value)}", highlight=False)
    for note in result["notes"]:
        console.print(f"  {note}", highlight=False, style="dim")
    for violation in result["violations"]:
        console.print(f"  VIOLATED: {violation}", style="bold red")
    console.print()


def result_tables(result: JsonDict) -> list[tuple[str, list[Row]]]:
    """Titles and tables, each with its headings first: the variants, the goals, and the parts.
    Columns without values are left out."""
    tables = [(result["title"], [_variant_cells(result, name) for name in result["rows"]])]
    if result["goals"]:
        tables.append(("goals", [_goal_cells(goal) for goal in result["goals"]]))
    if parts := {part: None for row in result["rows"].values() for part in row["parts"]}:
        cells_by_row = [
            {"": name} | {part: _median(row["parts"].get(part)) for part in parts}
            for name, row in result["rows"].items()
            if row["parts"]
        ]
        tables.append((f"{result['parts_title']} (median)", cells_by_row))
    return [(title, _to_rows(cells)) for title, cells in tables]


def _to_rows(cells_by_row: Sequence[Mapping[str, str]]) -> list[Row]:
    headings = [name for name in cells_by_row[0] if any(cells[name] for cells in cells_by_row)]
    return [headings, *([cells[name] for name in headings] for cells in cells_by_row)]


def _variant_cells(result: JsonDict, name: str) -> dict[str, str]:
    row = result["rows"][name]
    latency_ms = row["latency_ms"] or {}
    return {
        "": f"{name} (baseline)" if row["is_baseline"] else name,
        result["unit"]: _median(row["rate"]),
        "min-max": _range(row["rate"]),
        "x baseline": "" if row["is_baseline"] else format_value(row["ratio"]),
        "p50 ms": _median(latency_ms.get("p50")),
        "p99 ms": format_value(latency_ms.get("p99", "")),
        "CPU us": format_value(row["cpu_us"] or ""),
        "x by CPU": "" if row["is_baseline"] or not row["cpu_ratio"] else format_value(row["cpu_ratio"]),
        "transactions": "" if row["transactions"] is None else format_value(row["transactions"]),
    }


def _goal_cells(goal: JsonDict) -> dict[str, str]:
    return {
        "": goal["description"],
        "goal": f"{'at most' if goal['is_upper_bound'] else 'at least'} {goal['threshold']:,g}",
        "measured": _median(goal["actual"]),
        "min-max": _range(goal["actual"]),
        "reached": "yes" if goal["met"] else "no",
    }


def format_value(value: Any) -> str:
    """A number, text, or a spread as `median (minimum-maximum)`."""
    if isinstance(value, dict):
        return f"{_median(value)} ({_range(value)})"
    return value if isinstance(value, str) else _format_number(value)


def _median(spread_dict: Mapping[str, float] | None) -> str:
    return "" if spread_dict is None else _format_number(spread_dict["median"])


def _range(spread_dict: Mapping[str, float]) -> str:
    return f"{_format_number(spread_dict['min'])}-{_format_number(spread_dict['max'])}"


def _format_number(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def write_json(directory: Path, document: JsonDict) -> Path:
    """Writes every measurement; of latencies only percentiles."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def result_to_dict(result: BenchmarkResult, machine: Mapping[str, str]) -> JsonDict:
    return {
        "id": result.benchmark_id,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": read_commit(),
        "machine": dict(machine),
        "title": result.title,
        "unit": result.unit,
        "rows": {name: _summary_row(result, name) for name in result.measurements},
        "facts": {
            name: value if isinstance(value, str | int | float) else asdict(value)
            for name, value in result.facts.items()
        },
        "goals": [asdict(goal) | {"met": goal.is_met} for goal in result.goals],
        "violations": result.violations,
        "notes": result.notes,
        "plot": asdict(result.plot) if result.plot else None,
        "parts_title": result.parts_title,
        "measurements": {
            name: [_measurement_to_dict(measurement) for measurement in measurements]
            for name, measurements in result.measurements.items()
        },
    }


def _measurement_to_dict(measurement: Measurement) -> JsonDict:
    fields = asdict(measurement)
    fields["latencies_ms"] = _latency_spreads([measurement])
    return fields | {"rate": measurement.rate}


def _summary_row(result: BenchmarkResult, name: str) -> JsonDict:
    measurements = result.measurements[name]
    baseline_name = result.baseline_by_variant.get(name, result.baseline_variant)
    baseline = result.measurements[baseline_name]
    compare: Compare = result.compare_to_baseline or throughput_ratio
    cpu_ratio = cpu_efficiency_ratio(measurements, baseline)
    transaction_counts = [
        measurement.write_transactions
        for measurement in measurements
        if measurement.write_transactions is not None
    ]
    return {
        "is_baseline": name == baseline_name,
        "rate": asdict(rate_spread(measurements)),
        "ratio": asdict(compare(measurements, baseline)),
        "cpu_ratio": asdict(cpu_ratio) if cpu_ratio else None,
        "latency_ms": _latency_spreads(measurements),
        "cpu_us": median_cpu_microseconds(measurements),
        "parts": {part: asdict(part_spread(measurements, part)) for part in measurements[0].parts},
        "transactions": int(spread(transaction_counts).median) if transaction_counts else None,
        "rounds": len(measurements),
    }


def _latency_spreads(measurements: Sequence[Measurement]) -> JsonDict | None:
    """Over the rounds."""
    if not all(measurement.latencies_ms for measurement in measurements):
        return None
    return {f"p{percent}": asdict(latency_spread(measurements, percent)) for percent in (50, 99)}
