"""Prints benchmark results as tables and writes them to DATA_DIR/bench/<date>.json."""

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

from bench.results import (
    BenchmarkResult,
    Compare,
    Measurement,
    all_latencies_ms,
    cpu_efficiency_ratio,
    median_cpu_microseconds,
    percentile,
    quartiles,
    rate_quartiles,
    throughput_ratio,
)


def print_result(benchmark_result: BenchmarkResult, console: Console) -> None:
    """One row per variant. Ratios are medians over the rounds, with quartiles."""
    table = Table(title=f"{benchmark_result.benchmark_id}: {benchmark_result.title}", title_justify="left")
    table.add_column("")
    row_by_variant = result_rows(benchmark_result)
    cells_by_variant = {
        name: _format_cells(row, benchmark_result.unit) for name, row in row_by_variant.items()
    }
    headings = [
        column
        for column in next(iter(cells_by_variant.values()))
        if any(cells[column] for cells in cells_by_variant.values())
    ]
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, row in cells_by_variant.items():
        row_label = f"{name} (baseline)" if _is_baseline(benchmark_result, name) else name
        table.add_row(row_label, *[row[heading] for heading in headings])
    console.print(table)
    for name, value in benchmark_result.facts.items():
        console.print(f"  {name}: {value}", highlight=False)
    for goal in benchmark_result.goals:
        status = "reached" if goal.is_met else "MISSED"
        operator = "<=" if goal.is_upper_bound else ">="
        console.print(
            f"  goal {status}: {goal.description}: {goal.actual:.2f} {operator} {goal.threshold:g}",
            highlight=False,
        )
    for note in benchmark_result.notes:
        console.print(f"  {note}", highlight=False, style="dim")
    for violation in benchmark_result.violations:
        console.print(f"  VIOLATED: {violation}", style="bold red")
    console.print()


def _is_baseline(benchmark_result: BenchmarkResult, variant: str) -> bool:
    return benchmark_result.baseline_by_variant.get(variant, benchmark_result.baseline_variant) == variant


def result_rows(benchmark_result: BenchmarkResult) -> dict[str, dict[str, Any]]:
    """Variant -> the values of its row."""
    return {
        name: _summary_row(
            measurements,
            benchmark_result.measurements[
                benchmark_result.baseline_by_variant.get(name, benchmark_result.baseline_variant)
            ],
            benchmark_result.compare_to_baseline,
        )
        for name, measurements in benchmark_result.measurements.items()
    }


def write_json(directory: Path, results: Sequence[BenchmarkResult], options: dict[str, object]) -> Path:
    """Writes every measurement; of latencies only percentiles."""
    now = datetime.now(UTC)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{now:%Y-%m-%dT%H-%M-%SZ}.json"
    machine = {
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    document = {
        "at": now.isoformat(),
        "machine": machine,
        "options": options,
        "benchmarks": [_result_to_dict(benchmark_result) for benchmark_result in results],
    }
    path.write_text(json.dumps(document, indent=1, default=str) + "\n")
    return path


def _result_to_dict(benchmark_result: BenchmarkResult) -> dict[str, Any]:
    return {
        "name": benchmark_result.benchmark_id,
        "title": benchmark_result.title,
        "unit": benchmark_result.unit,
        "baseline": benchmark_result.baseline_variant,
        "rows": result_rows(benchmark_result),
        "facts": benchmark_result.facts,
        "goals": [asdict(goal) | {"met": goal.is_met} for goal in benchmark_result.goals],
        "violations": benchmark_result.violations,
        "notes": benchmark_result.notes,
        "measurements": {
            name: [_measurement_to_dict(measurement) for measurement in measurements]
            for name, measurements in benchmark_result.measurements.items()
        },
    }


def _measurement_to_dict(measurement: Measurement) -> dict[str, Any]:
    fields = asdict(measurement)
    fields["latencies_ms"] = _latency_percentiles([measurement])
    return fields | {"rate": measurement.rate}


def _summary_row(
    measurements: Sequence[Measurement],
    baseline_measurements: Sequence[Measurement],
    compare_to_baseline: Compare | None,
) -> dict[str, Any]:
    cpu_efficiency = cpu_efficiency_ratio(measurements, baseline_measurements)
    transaction_counts = [
        measurement.write_transactions
        for measurement in measurements
        if measurement.write_transactions is not None
    ]
    return {
        "rate": asdict(rate_quartiles(measurements)),
        "ratio": asdict((compare_to_baseline or throughput_ratio)(measurements, baseline_measurements)),
        "cpu_ratio": asdict(cpu_efficiency) if cpu_efficiency else None,
        "latency_ms": _latency_percentiles(measurements),
        "cpu_us": median_cpu_microseconds(measurements),
        "transactions": quartiles(transaction_counts).median if transaction_counts else None,
        "completed": sum(measurement.completed for measurement in measurements),
    }


def _latency_percentiles(measurements: Sequence[Measurement]) -> dict[str, float] | None:
    latencies_ms = all_latencies_ms(measurements)
    if not latencies_ms:
        return None
    return {
        "p50": percentile(latencies_ms, 50),
        "p99": percentile(latencies_ms, 99),
        "max": max(latencies_ms),
    }


def _format_cells(row: dict[str, Any], unit: str) -> dict[str, str]:
    rate, latency_ms = row["rate"], row["latency_ms"]
    return {
        unit: f"{rate['median']:,.0f}",
        "quartiles": f"{rate['low']:,.0f}-{rate['high']:,.0f}",
        "x baseline": _format_ratio(row["ratio"]),
        "p50 ms": f"{latency_ms['p50']:.1f}" if latency_ms else "",
        "p99 ms": f"{latency_ms['p99']:.1f}" if latency_ms else "",
        "CPU us": f"{row['cpu_us']:.0f}" if row["cpu_us"] else "",
        "x by CPU": _format_ratio(row["cpu_ratio"]) if row["cpu_ratio"] else "",
        "transactions": f"{row['transactions']:,.0f}" if row["transactions"] is not None else "",
    }


def _format_ratio(ratio_quartiles: dict[str, float]) -> str:
    return f"{ratio_quartiles['median']:.2f} ({ratio_quartiles['low']:.2f}-{ratio_quartiles['high']:.2f})"
