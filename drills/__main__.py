"""python -m drills [redis-killed kafka-frozen ...] [--short] [--seed N] [--list]
python -m drills mutants [NAME ...]: deliberate bugs, and whether they are noticed

Exit code 1 when a row does not hold.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from drills import mutants, promises, report
from drills.drill import SLACK_SECONDS, Drill
from drills.faults import everything
from drills.rig import Rig
from drills.stage import Row, play
from infra.layout import layout
from infra.trouble import Trouble


def run(
    chosen: Sequence[Drill],
    folder: Path,
    seed: int,
    short: bool,
    say: Callable[[str], None],
    rows: list[Row],
) -> None:
    """One rig for all that can share it; after a broken row a fresh one."""
    waiting = list(chosen)
    while waiting:
        first = waiting[0]
        if first.impossible():
            rows.append(play(waiting.pop(0), None, seed, short, say))
            continue
        try:
            with first.rig(folder / "rig", say) as rig:
                _play_on(rig, waiting, seed, short, say, rows)
        except (Trouble, RuntimeError) as fault:
            if waiting and waiting[0] is first:  # its rig did not even come up
                row = Row(first.name, first.breaks, first.promises, seed, "BROKEN")
                row.faults["the rig"] = [str(fault)]
                rows.append(row)
                waiting.pop(0)
            say(f"  {fault}")


def _play_on(
    rig: Rig,
    waiting: list[Drill],
    seed: int,
    short: bool,
    say: Callable[[str], None],
    rows: list[Row],
) -> None:
    while waiting and waiting[0].fits(rig):
        drill = waiting.pop(0)
        say(f"{drill.name}: {drill.breaks} ...")
        row = play(drill, rig, seed, short, say)
        rows.append(row)
        say(f"  {row.verdict} ({row.took_seconds:.0f} s)")
        for name, said in row.faults.items():
            say(f"    {name} ({len(said)}): {said[0]}")
        if not row.holds:
            return


def main() -> int:
    asked = _asked()
    console = Console(width=None if sys.stdout.isatty() else 200)
    folder = layout().data_dir / "drills"
    if asked.drills[:1] == ["mutants"]:
        return mutants.main(asked.drills[1:])
    if asked.list:
        _list(console)
        return 0
    if asked.write_promises:
        console.print(f"Written to {promises.write(folder / 'last.json', everything())}")
        return 0
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    console.print(f"Seed {seed} (python -m drills --seed {seed} draws the same moments)")
    rows: list[Row] = []
    try:
        run(
            _chosen(asked.drills, asked.short),
            folder,
            seed,
            asked.short,
            console.print,
            rows,
        )
    finally:
        # What was seen is kept, whatever became of the rest.
        report.show(rows, console)
        options: dict[str, object] = {"seed": seed, "short": asked.short, "slack": SLACK_SECONDS}
        console.print(f"Written to {report.write(folder, rows, options)}")
    return 0 if rows and all(row.holds for row in rows) else 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drills", description=__doc__)
    parser.add_argument("drills", nargs="*", metavar="NAME", help="some of --list; none: all")
    parser.add_argument("--short", action="store_true", help="the short ones, with short times")
    parser.add_argument("--seed", type=int, default=None, help="draws the moments; printed")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--write-promises", action="store_true", help="docs/promises.md anew")
    asked = parser.parse_args()
    strangers = [name for name in asked.drills if name not in everything()]
    if strangers and asked.drills[0] != "mutants":
        parser.error(f"no such drill: {', '.join(strangers)} (see --list)")
    return asked


def _chosen(names: Sequence[str], short: bool) -> list[Drill]:
    """Some by name, with long or short times; else all, or the short ones."""
    known = everything()
    if names:
        return [one for name, one in known.items() if name in names]
    return [one for one in known.values() if one.short or not short]


def _list(console: Console) -> None:
    for one in everything().values():
        mark = "short" if one.short else ""
        console.print(f"{one.name:28} {mark:6} {' '.join(one.promises):16} {one.breaks}")


if __name__ == "__main__":
    sys.exit(main())
