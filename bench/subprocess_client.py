"""A helper process with commands on stdin and responses on stdout, one JSON object a line.

It is not monkey-patched, and its work does not delay the greenlets of this process.
"""

import json
import subprocess
import sys
from typing import Any


class SubprocessClient:
    """Runs `python -m MODULE` until close()."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def request(self, command: dict[str, Any]) -> dict[str, Any]:
        """Sends a command and returns the response. Raises RuntimeError if the process ended."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended")
        return dict(json.loads(line))

    def close(self) -> None:
        """Closes its stdin, upon which it ends."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def send_response(response: dict[str, Any]) -> None:
    """Called in the helper process."""
    sys.stdout.write(json.dumps(response) + "\n")
    sys.stdout.flush()
