"""python -m drills [redis-killed kafka-frozen ...] [--short] [--seed N] [--list]
python -m drills mutants [NAME ...]: deliberate bugs, and whether tests detect them

Exit code 1 if a drill fails or a bug is not detected.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from drills import guarantees, mutation_runner, report
from drills.cluster import Cluster
from drills.drill import TIME_LIMIT_SLACK_SECONDS, Drill
from drills.faults import load_drills
from drills.runner import DrillResult, run_drill
from infra.errors import InfraError
from infra.paths import data_dir_paths


def run_drills(
    drills: Sequence[Drill],
    data_folder: Path,
    seed: int,
    short_only: bool,
    print_progress: Callable[[str], None],
    results: list[DrillResult],
) -> None:
    """Appends to `results`. Drills share a cluster where they can; after a failure a new one is started."""
    pending_drills = list(drills)
    while pending_drills:
        next_drill = pending_drills[0]
        if next_drill.unsupported_reason():
            results.append(run_drill(pending_drills.pop(0), None, seed, short_only, print_progress))
            continue
        try:
            with next_drill.create_cluster(data_folder / "cluster", print_progress) as cluster:
                _run_on_cluster(cluster, pending_drills, seed, short_only, print_progress, results)
        except (InfraError, RuntimeError) as exc:
            if pending_drills and pending_drills[0] is next_drill:  # its cluster did not start
                result = DrillResult(
                    next_drill.name,
                    next_drill.fault_description,
                    next_drill.guarantee_ids,
                    seed,
                    "BROKEN",
                )
                result.violations["cluster"] = [str(exc)]
                results.append(result)
                pending_drills.pop(0)
            print_progress(f"  {exc}")


def _run_on_cluster(
    cluster: Cluster,
    pending_drills: list[Drill],
    seed: int,
    short_only: bool,
    print_progress: Callable[[str], None],
    results: list[DrillResult],
) -> None:
    while pending_drills and pending_drills[0].can_run_on(cluster):
        drill = pending_drills.pop(0)
        print_progress(f"{drill.name}: {drill.fault_description} ...")
        result = run_drill(drill, cluster, seed, short_only, print_progress)
        results.append(result)
        print_progress(f"  {result.outcome} ({result.duration_seconds:.0f} s)")
        for check_name, violations in result.violations.items():
            print_progress(f"    {check_name} ({len(violations)}): {violations[0]}")
        if not result.passed:
            return


def main() -> int:
    options = _parse_arguments()
    console = Console(width=None if sys.stdout.isatty() else 200)
    data_folder = data_dir_paths().data_dir / "drills"
    if options.drills[:1] == ["mutants"]:
        return mutation_runner.main(options.drills[1:])
    if options.list:
        _print_drill_list(console)
        return 0
    if options.write_guarantees:
        console.print(f"Written to {guarantees.write_page(data_folder / 'last.json', load_drills())}")
        return 0
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    console.print(f"Seed {seed} (python -m drills --seed {seed} repeats the same random moments)")
    results: list[DrillResult] = []
    try:
        run_drills(
            _select_drills(options.drills, options.short),
            data_folder,
            seed,
            options.short,
            console.print,
            results,
        )
    finally:
        # Results are kept also after an exception or Ctrl-C.
        report.print_table(results, console)
        run_options: dict[str, object] = {
            "seed": seed,
            "short": options.short,
            "slack": TIME_LIMIT_SLACK_SECONDS,
        }
        console.print(f"Written to {report.write_report(data_folder, results, run_options)}")
    return 0 if results and all(result.passed for result in results) else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drills", description=__doc__)
    parser.add_argument("drills", nargs="*", metavar="NAME", help="names of --list; default: all")
    parser.add_argument("--short", action="store_true", help="short durations; without names, the short set")
    parser.add_argument("--seed", type=int, default=None, help="for the random moments; printed at the start")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--write-guarantees", action="store_true", help="generate docs/guarantees.md")
    arguments = parser.parse_args()
    unknown_names = [drill_name for drill_name in arguments.drills if drill_name not in load_drills()]
    if unknown_names and arguments.drills[0] != "mutants":
        parser.error(f"no such drill: {', '.join(unknown_names)} (see --list)")
    return arguments


def _select_drills(drill_names: Sequence[str], short_only: bool) -> list[Drill]:
    """Those with the names; without names all, or the short set."""
    drills_by_name = load_drills()
    if drill_names:
        return [drill for name, drill in drills_by_name.items() if name in drill_names]
    return [drill for drill in drills_by_name.values() if drill.in_short_run or not short_only]


def _print_drill_list(console: Console) -> None:
    for drill in load_drills().values():
        short_column = "short" if drill.in_short_run else ""
        console.print(
            f"{drill.name:28} {short_column:6} {' '.join(drill.guarantee_ids):16} {drill.fault_description}"
        )


if __name__ == "__main__":
    sys.exit(main())
