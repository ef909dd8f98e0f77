"""Applies each deliberate bug to a copy of the tree and runs the test or drill that must detect it.

    python -m drills mutants [NAME ...]

Uses the services of TEST_DATA_DIR if it is set. Exit code 1 if a bug was not detected.
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

from drills.mutation import Mutation
from drills.mutations import MUTATIONS
from infra.paths import PROJECT_ROOT

SHARED_PATHS = (".venv", ".cache", "jinja/static/vendor")
"""Downloaded; the copy has links to them."""
IGNORED_PATTERNS = shutil.ignore_patterns(".git", ".venv", ".cache", ".data*", "__pycache__", "vendor")
TEST_TIMEOUT_SECONDS = 900
DETECTED, UNDETECTED, INCONCLUSIVE = "detected", "NOT DETECTED", "INCONCLUSIVE"


@dataclass(frozen=True)
class MutationResult:
    mutation: Mutation
    outcome: str
    duration_seconds: float
    output: str = ""


def main(mutation_names: Sequence[str]) -> int:
    console = Console(width=None if sys.stdout.isatty() else 180)
    mutations = [mutation for mutation in MUTATIONS if not mutation_names or mutation.name in mutation_names]
    passes_unmodified: dict[tuple[str, ...], bool] = {}
    results = [_run_mutation(mutation, passes_unmodified, console.print) for mutation in mutations]
    print_results(results, console)
    return 0 if results and all(result.outcome == DETECTED for result in results) else 1


def print_results(results: Sequence[MutationResult], console: Console) -> None:
    table = Table(title="Deliberate bugs", title_justify="left")
    for name in ("bug", "description", "detected by", "outcome", "s"):
        table.add_column(name)
    for result in results:
        table.add_row(
            result.mutation.name,
            result.mutation.description,
            " ".join(result.mutation.detected_by),
            result.outcome,
            f"{result.duration_seconds:.0f}",
            style="" if result.outcome == DETECTED else "bold red",
        )
    console.print(table)
    for result in results:
        if result.outcome == INCONCLUSIVE:
            console.print(f"{result.mutation.name}: {result.output}", highlight=False)


def _run_mutation(
    mutation: Mutation,
    passes_unmodified: dict[tuple[str, ...], bool],
    print_progress: Callable[[str], None],
) -> MutationResult:
    started_at = time.monotonic()
    print_progress(f"{mutation.name} ...")
    with copy_source_tree() as source_root:
        # A test that fails without the bug as well proves nothing.
        if mutation.detected_by not in passes_unmodified:
            passes_unmodified[mutation.detected_by] = _run_detector(source_root, mutation.detected_by)[0] == 0
        if not passes_unmodified[mutation.detected_by]:
            return MutationResult(
                mutation,
                INCONCLUSIVE,
                time.monotonic() - started_at,
                "fails without the bug as well",
            )
        try:
            mutation.edit.apply(source_root)
        except RuntimeError as exc:
            return MutationResult(mutation, INCONCLUSIVE, time.monotonic() - started_at, str(exc))
        exit_code, output = _run_detector(source_root, mutation.detected_by)
    outcome = {0: UNDETECTED, 1: DETECTED}.get(exit_code, INCONCLUSIVE)
    print_progress(f"  {outcome}")
    return MutationResult(mutation, outcome, time.monotonic() - started_at, output[-2000:])


@contextmanager
def copy_source_tree() -> Iterator[Path]:
    """A temporary copy of the working tree."""
    with tempfile.TemporaryDirectory(prefix="chime-mutant-") as folder:
        Path(folder).chmod(0o755)
        source_root = Path(folder) / "tree"
        shutil.copytree(PROJECT_ROOT, source_root, ignore=IGNORED_PATTERNS, symlinks=True)
        for name in SHARED_PATHS:
            if (PROJECT_ROOT / name).exists():
                (source_root / name).parent.mkdir(parents=True, exist_ok=True)
                (source_root / name).symlink_to(PROJECT_ROOT / name)
        yield source_root


def _run_detector(source_root: Path, detector: Sequence[str]) -> tuple[int, str]:
    """Runs test files with pytest, or a drill by its name. Exit code 1: the bug was detected."""
    if detector[0].startswith("tests/"):
        module_args = ["pytest", "-x", "-q", "-p", "no:cacheprovider", *detector]
    else:
        module_args = ["drills", "--short", "--seed", "1", *detector]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        completed = subprocess.run(
            [sys.executable, "-m", *module_args],
            cwd=source_root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TEST_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 1, "timed out"
    return completed.returncode, completed.stdout + completed.stderr
