"""docs/promises.md: each promise with the drills that show it, and the last run's table."""

from pathlib import Path


def write(last: Path) -> Path:
    raise NotImplementedError
