"""Deliberate bugs: each is put into a copy of the tree, and a test or drill must notice.

    python -m drills mutants [NAME ...]

In    the tree as it is; TEST_DATA_DIR, if services run already
Out   a table: caught, or SURVIVED; exit code 1 if one survived
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from drills.bugs import MUTANTS, Mutant
from infra.layout import ROOT

SHARED = (".venv", ".cache", "jinja/static/vendor")
"""Fetched, not ours to change: the copy points to them."""
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".cache", ".data*", "__pycache__", "vendor")
SECONDS = 900
CAUGHT, SURVIVED, SICK = "caught", "SURVIVED", "CANNOT TELL"


@dataclass(frozen=True)
class Outcome:
    mutant: Mutant
    verdict: str
    seconds: float
    said: str = ""


def main(names: Sequence[str]) -> int:
    console = Console(width=None if sys.stdout.isatty() else 180)
    chosen = [one for one in MUTANTS if not names or one.name in names]
    healthy: dict[tuple[str, ...], bool] = {}
    outcomes = [_try(one, healthy, console.print) for one in chosen]
    show(outcomes, console)
    return 0 if outcomes and all(one.verdict == CAUGHT for one in outcomes) else 1


def show(outcomes: Sequence[Outcome], console: Console) -> None:
    table = Table(title="Deliberate bugs, and what notices them", title_justify="left")
    for name in ("bug", "what is wrong", "noticed by", "verdict", "s"):
        table.add_column(name)
    for one in outcomes:
        table.add_row(
            one.mutant.name, one.mutant.says, " ".join(one.mutant.caught_by), one.verdict,
            f"{one.seconds:.0f}", style="" if one.verdict == CAUGHT else "bold red",
        )  # fmt: skip
    console.print(table)
    for one in outcomes:
        if one.verdict == SICK:
            console.print(f"{one.mutant.name}: {one.said}", highlight=False)


def _try(
    mutant: Mutant, healthy: dict[tuple[str, ...], bool], say: Callable[[str], None]
) -> Outcome:
    began = time.monotonic()
    say(f"{mutant.name} ...")
    with copied() as tree:
        # What fails without the bug shows nothing: first the tree as it is.
        if mutant.caught_by not in healthy:
            healthy[mutant.caught_by] = _run(tree, mutant.caught_by)[0] == 0
        if not healthy[mutant.caught_by]:
            return Outcome(mutant, SICK, time.monotonic() - began, "fails without the bug as well")
        try:
            mutant.put_into(tree)
        except RuntimeError as fault:
            return Outcome(mutant, SICK, time.monotonic() - began, str(fault))
        code, said = _run(tree, mutant.caught_by)
    verdict = {0: SURVIVED, 1: CAUGHT}.get(code, SICK)
    say(f"  {verdict}")
    return Outcome(mutant, verdict, time.monotonic() - began, said[-2000:])


@contextmanager
def copied() -> Iterator[Path]:
    """The tree as it is now, to be spoiled."""
    with tempfile.TemporaryDirectory(prefix="notifications-mutant-") as folder:
        Path(folder).chmod(0o755)
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT, symlinks=True)
        for name in SHARED:
            if (ROOT / name).exists():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).symlink_to(ROOT / name)
        yield tree


def _run(tree: Path, command: Sequence[str]) -> tuple[int, str]:
    """pytest for paths of tests, else a drill by its name. Both end with 1 when they notice."""
    if command[0].startswith("tests/"):
        module = ["pytest", "-x", "-q", "-p", "no:cacheprovider", *command]
    else:
        module = ["drills", "--short", "--seed", "1", *command]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", *module],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 1, "it never ended"
    return done.returncode, done.stdout + done.stderr
