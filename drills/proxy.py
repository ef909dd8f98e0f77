"""The parent's hand on the proxy process (drills/weather.py).

proxy = Proxy({"redis": (port, target)})
proxy.set("redis", delay=0.2, jitter=0.2)
proxy.heal("redis")
"""

import json
import subprocess
import sys
from collections.abc import Mapping

from infra.layout import ROOT


class Proxy:
    """Every order has taken effect when its method returns."""

    def __init__(self, lanes: Mapping[str, tuple[int, int]]) -> None:
        self.ports = {name: port for name, (port, _) in lanes.items()}
        self._child = subprocess.Popen(
            [sys.executable, "-m", "drills.weather"]
            + [f"{name}:{port}:{target}" for name, (port, target) in lanes.items()],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    @property
    def pid(self) -> int:
        return self._child.pid

    def set(self, lane: str, **weather: object) -> None:
        """Fields of weather.Weather."""
        self._order(lane, **weather)

    def heal(self, *lanes: str) -> None:
        for lane in lanes or self.ports:
            self._order(lane, heal=True)

    def reset(self, lane: str) -> None:
        """Every open connection ends with RST."""
        self._order(lane, reset=True)

    def half_close(self, lane: str, way: str) -> None:
        """FIN in one direction ("up" or "down") on every open connection; the other stays open."""
        self._order(lane, half_close=way)

    def close(self) -> None:
        if self._child.poll() is None:
            assert self._child.stdin
            self._child.stdin.close()
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def _order(self, lane: str, **order: object) -> None:
        assert self._child.stdin
        self._child.stdin.write(json.dumps({"lane": lane} | order) + "\n")
        self._child.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self._child.stdout
        if not self._child.stdout.readline():
            raise RuntimeError("the proxy ended")
