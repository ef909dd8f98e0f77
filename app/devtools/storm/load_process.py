"""A load generator process: starts it, keeps its last report, stops it.

The process ends with its stdin, so it does not outlive the one that started it.
"""

import json
import subprocess
import sys
import threading
from dataclasses import fields
from operator import attrgetter
from typing import Any

from app.devtools.service_control import PROJECT_ROOT
from app.devtools.storm.load_connection import PreparedRequest
from app.devtools.storm.load_generator import RESPONSE_TIMEOUT_SECONDS, LoadPlan

MODULE = "app.devtools.storm.load_generator"
STOP_TIMEOUT_SECONDS = RESPONSE_TIMEOUT_SECONDS + 5.0
_request_values = attrgetter(*(field.name for field in fields(PreparedRequest)))


class LoadProcess:
    def __init__(self, plan: LoadPlan) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this project's own module
            [sys.executable, "-m", MODULE],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._report: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read_reports, daemon=True)
        self._reader.start()
        requests = [_request_values(request) for request in plan.requests]
        self._write_line(json.dumps(vars(plan) | {"requests": requests}))

    @property
    def report(self) -> dict[str, Any]:
        """The last report; the final one after it ended. Empty before the first."""
        return self._report

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> dict[str, Any]:
        """Stops it and returns its final report. Raises RuntimeError if it ended without one."""
        self.close()
        if not self._report.get("isFinal"):
            raise RuntimeError("The load generator ended without a report")
        return self._report

    def close(self) -> None:
        """Stops it, if it still runs."""
        try:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_TIMEOUT_SECONDS)

    def _write_line(self, line: str) -> None:
        if self._process.stdin:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _read_reports(self) -> None:
        for line in self._process.stdout or ():
            self._report = json.loads(line)
