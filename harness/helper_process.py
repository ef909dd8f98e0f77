"""A helper process with commands on stdin and responses on stdout, one JSON object a line.

Its work does not delay the greenlets of this process.
"""

import json
import subprocess
import sys
from typing import IO, Any, cast

from infra.paths import PROJECT_ROOT

STOP_TIMEOUT_SECONDS = 10.0


class HelperProcess:
    """Runs `python -m MODULE ARGUMENT...` until close()."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stdin = cast("IO[str]", self._process.stdin)
        self._stdout = cast("IO[str]", self._process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    def request(self, command: dict[str, Any]) -> dict[str, Any]:
        """Sends a command and returns the response. Raises RuntimeError if the process ended."""
        self._stdin.write(json.dumps(command) + "\n")
        self._stdin.flush()
        return self.read_response()

    def read_response(self) -> dict[str, Any]:
        """Of a process that also sends one when it is ready. Raises RuntimeError if the process ended."""
        line = self._stdout.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended")
        return dict(json.loads(line))

    def close(self) -> None:
        """Closes its stdin, upon which it ends; kills it if it does not."""
        try:
            self._stdin.close()
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


def send_response(response: dict[str, Any]) -> None:
    """Called in the helper process."""
    sys.stdout.write(json.dumps(response) + "\n")
    sys.stdout.flush()
