"""The result of a check: what was measured, whether it is good, and a hint on what to do if it is not."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class CheckLevel(StrEnum):
    """From good to bad."""

    OK = "ok"
    WARNING = "warning"
    """Nothing is broken, but someone should look."""
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CheckResult:
    stage: str
    check: str
    value: str
    level: CheckLevel = CheckLevel.OK
    hint: str = ""
    pipeline_stage: str = ""
    """The stage of the pipeline that it is about (app/domain/worker_loops.py), if any."""
    refuses_writes: bool = False
    """An error because of which no write is accepted."""

    def error_if(self, is_error: bool, hint: str, *, refuses_writes: bool = False) -> "CheckResult":
        if not is_error:
            return self
        return replace(self, level=CheckLevel.ERROR, hint=hint, refuses_writes=refuses_writes)

    def warning_if(self, is_warning: bool, hint: str) -> "CheckResult":
        """Nothing changes if it is an error already."""
        if not is_warning or self.level is not CheckLevel.OK:
            return self
        return replace(self, level=CheckLevel.WARNING, hint=hint)


def worst_level(results: Iterable[CheckResult]) -> CheckLevel:
    return max((result.level for result in results), key=list(CheckLevel).index, default=CheckLevel.OK)


def worker_start_hint(process: str) -> str:
    return f"Start it: python -m workers {process} (make run starts them all)."


def format_age(seconds: float) -> str:
    """`4 s`, `3 min`, `2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
