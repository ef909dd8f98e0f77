"""python -m bench [s1 s2 s3 s4 s5 s6] [--quick]

Exit code 1 when a promise that holds on any machine was broken (a like that makes two Redis calls);
a goal that a busy machine misses is only shown.
"""
# ruff: noqa: E402 - the patch comes first

from app.green import patch

patch()

import argparse
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from bench import bridging, fanout, flush, likes, readers, toast
from bench.figures import Figure
from bench.report import show, write
from bench.stage import stage
from infra.layout import layout

# Of each figure: how it is measured at length, and in a hurry. In this order whatever was asked:
# S3 leaves events in the lanes that the workers of S4 and S5 would have to read first.
FIGURES: dict[str, tuple[Callable[..., Figure], dict[str, Any], dict[str, Any]]] = {
    "s1": (likes.figure, {"rounds": 12, "seconds": 1.0}, {"rounds": 4, "seconds": 0.5}),
    "s2": (flush.figure, {"rounds": 10}, {"rounds": 3}),
    "s4": (toast.figure, {"rounds": 10, "likes": 20}, {"rounds": 3, "likes": 10}),
    "s5": (readers.figure, {"rounds": 5}, {"rounds": 2}),
    "s6": (fanout.figure, {"rounds": 6, "times": 5}, {"rounds": 2, "times": 2}),
    "s3": (bridging.figure, {"rounds": 8}, {"rounds": 2}),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[*sorted(FIGURES), []], metavar="s1..s6")
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works")
    asked = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    figures: list[Figure] = []
    folder = layout().data_dir / "bench"
    options = {"quick": asked.quick, "figures": asked.figures or list(FIGURES)}
    try:
        with stage(folder, console.print) as one:
            for name in [one for one in FIGURES if one in (asked.figures or FIGURES)]:
                console.print(f"Measuring {name} ...")
                measure, *ways = FIGURES[name]
                figures.append(measure(one, **ways[asked.quick]))
                show(figures[-1], console)
    finally:
        # What was measured is kept, whatever became of the rest.
        console.print(f"Written to {write(folder, figures, options)}")
    return 1 if any(one.broken for one in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
