"""What runs beside a drill: the parent's hand on the crowd process, and a look at memory.

In    drills/crowd.py; the rig's processes
Out   drills/stage.py
"""

import subprocess
import sys
import threading
from pathlib import Path

from drills.rig import Rig
from infra.layout import ROOT

SAMPLE_SECONDS = 1.0


class Crowd:
    """The parent's hand on the crowd process."""

    def __init__(self, order: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "drills.crowd", str(order)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear("ready")

    def rest(self) -> None:
        """No new requests; returns when the last one is answered."""
        self._say("rest")
        self._hear("rested")

    def close(self) -> None:
        if self._child.poll() is None:
            try:
                self._say("bye")
                self._child.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self._child.kill()
                self._child.wait()

    def _say(self, word: str) -> None:
        assert self._child.stdin
        self._child.stdin.write(word + "\n")
        self._child.stdin.flush()

    def _hear(self, word: str) -> None:
        assert self._child.stdout
        if self._child.stdout.readline().strip() != word:
            raise RuntimeError("the crowd ended")


class Memory:
    """MB of every process, once a second."""

    def __init__(self, rig: Rig) -> None:
        self.seen: dict[str, list[float]] = {}
        self._rig = rig
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(10)

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            for name, many in self._rig.memory().items():
                self.seen.setdefault(name, []).append(many)
