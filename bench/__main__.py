"""python -m bench [s1 ... s9] [--quick] [--write-performance]

Exit code 1 if a guarantee is broken that does not depend on the machine (such as one Redis call per
like). A missed goal is only reported.
"""
# ruff: noqa: E402 - monkey-patching must precede the other imports

from app.clients.gevent_setup import patch_all

patch_all()

import argparse
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from bench import (
    bridge_throughput,
    data_size,
    fanout,
    flush,
    footprint,
    like_throughput,
    live_counts,
    pipeline_throughput,
    read_latency,
    toast_latency,
)
from bench.harness import run_harness
from bench.machine import describe_machine
from bench.publish import publish
from bench.report import JsonDict, print_result, result_to_dict, write_json
from bench.results import BenchmarkResult
from infra.paths import data_dir_paths

# Benchmark, its arguments, its arguments with --quick. They always run in this order: S3 leaves events in
# the topics that the workers of the others would have to process first.
BENCHMARKS: dict[str, tuple[Callable[..., BenchmarkResult], dict[str, Any], dict[str, Any]]] = {
    "s1": (
        like_throughput.run_benchmark,
        {"rounds": 8, "seconds": 1.0},
        {"rounds": 3, "seconds": 0.5},
    ),
    "s2": (flush.run_benchmark, {"rounds": 7}, {"rounds": 2}),
    "s4": (toast_latency.run_benchmark, {"rounds": 8, "like_count": 20}, {"rounds": 2, "like_count": 10}),
    "s5": (read_latency.run_benchmark, {"rounds": 5, "seconds": 4.0}, {"rounds": 1, "seconds": 1.5}),
    "s6": (fanout.run_benchmark, {"rounds": 5, "broadcast_count": 5}, {"rounds": 2, "broadcast_count": 2}),
    "s6b": (live_counts.run_benchmark, {"rounds": 5, "seconds": 3.0}, {"rounds": 1, "seconds": 1.0}),
    "s7": (
        pipeline_throughput.run_benchmark,
        {"rounds": 5, "like_count": 10_000, "backlog_seconds": 120.0},
        {"rounds": 1, "like_count": 2_000, "backlog_seconds": 10.0},
    ),
    "s8": (data_size.run_benchmark, {"rounds": 12, "scale": 1}, {"rounds": 2, "scale": 0.2}),
    "s9": (footprint.run_benchmark, {"rounds": 5, "like_count": 5_000}, {"rounds": 1, "like_count": 1_000}),
    "s3": (bridge_throughput.run_benchmark, {"rounds": 6}, {"rounds": 2}),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("benchmarks", nargs="*", choices=[*sorted(BENCHMARKS), []], metavar="s1..s9")
    parser.add_argument("--quick", action="store_true", help="few rounds, as a smoke test")
    parser.add_argument(
        "--write-performance", action="store_true", help="write the figures into docs and README.md"
    )
    args = parser.parse_args()
    if args.quick and args.write_performance:
        parser.error("figures of few rounds are not published")
    console = Console(width=None if sys.stdout.isatty() else 160)
    results: list[JsonDict] = []
    output_dir = data_dir_paths().data_dir / "bench"
    try:
        with run_harness(output_dir, console.print) as harness:
            machine = describe_machine(harness)
            for benchmark_id in [name for name in BENCHMARKS if name in (args.benchmarks or BENCHMARKS)]:
                console.print(f"Measuring {benchmark_id} ...")
                measure, *argument_sets = BENCHMARKS[benchmark_id]
                result = measure(harness, **argument_sets[args.quick])
                results.append(result_to_dict(result, machine))
                print_result(results[-1], console)
    finally:
        # Results are kept also after an exception or Ctrl-C.
        document = {"quick": args.quick, "benchmarks": results}
        console.print(f"Written to {write_json(output_dir, document)}")
        if args.write_performance:
            publish(results)
    return 1 if any(result["violations"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
