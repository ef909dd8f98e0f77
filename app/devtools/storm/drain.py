"""Whether all that was accepted is written and announced; closes the windows that it waits in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.devtools.checker.request_log import read_request_log
from app.devtools.storm.ledger import StormStores, WrittenCounts
from app.domain.errors import Unavailable
from app.operations.open_windows import OpenWindow, OpenWindows

MAX_WINDOWS = 20_000


@dataclass(frozen=True)
class Drain:
    stores: StormStores
    open_windows: OpenWindows
    closes_windows: bool
    """Before their time, once all that was accepted is written or in them."""
    request_log_path: Path

    def is_complete(self, counts: WrittenCounts, load_report: dict[str, Any]) -> bool:
        """False also while Redis or PostgreSQL is unavailable. `load_report`: the final one."""
        if not self.stores.announces:
            return True  # each row was written when its request was answered
        accepted = int(load_report["accepted"])
        try:
            windows = list_windows_of(self.open_windows, self.stores.author_id)
            gathered = sum(window.gathered_count for window in windows)
            if self.closes_windows and counts.written + gathered >= accepted:
                self.open_windows.make_due([window.name for window in windows])
            if windows or counts.written < accepted or not counts.is_all_announced:
                return False
            # Requests without success may be written too, so that the number alone does not say that all
            # accepted ones are.
            is_exact = int(load_report["sent"]) == accepted
            return is_exact or not self.stores.find_lost_writes(read_request_log(self.request_log_path))[0]
        except Unavailable:
            return False


def list_windows_of(open_windows: OpenWindows, author_id: str) -> list[OpenWindow]:
    """Raises Unavailable."""
    return [window for window in open_windows.list_by_due(MAX_WINDOWS) if window.recipient_id == author_id]
