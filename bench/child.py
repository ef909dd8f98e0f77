"""A process of the bench's own beside us: orders on its stdin, answers on its stdout, a JSON object
a line each. It has not our patch: what it does in between keeps none of our greenlets waiting."""

import json
import subprocess
import sys
from typing import Any


class Child:
    """`python -m bench.<module>`, until close()."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Waits for the answer. Raises RuntimeError when the process ended instead."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended")
        return dict(json.loads(line))

    def close(self) -> None:
        """The end of its stdin is the end of it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def answer(told: dict[str, Any]) -> None:
    """In the child."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
