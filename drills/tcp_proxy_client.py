"""The client of the TCP proxy's process (drills/tcp_proxy.py).

proxy = TcpProxyProcess({"redis": (port, target_port)})
proxy.configure("redis", delay_seconds=0.2, jitter_seconds=0.2)
proxy.clear_toxics("redis")
"""

import json
import subprocess
import sys
from collections.abc import Mapping

from infra.paths import PROJECT_ROOT


class TcpProxyProcess:
    """A command has taken effect when its method returns."""

    def __init__(self, routes: Mapping[str, tuple[int, int]]) -> None:
        self.ports = {route: port for route, (port, _) in routes.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "drills.tcp_proxy"]
            + [f"{name}:{port}:{target_port}" for name, (port, target_port) in routes.items()],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._await_reply()

    @property
    def pid(self) -> int:
        return self._process.pid

    def configure(self, route: str, **toxic: object) -> None:
        """Sets fields of drills.tcp_proxy.Toxic."""
        self._send_command(route, **toxic)

    def clear_toxics(self, *routes: str) -> None:
        for route in routes or self.ports:
            self._send_command(route, clear=True)

    def reset_connections(self, route: str) -> None:
        """Ends every open connection with RST."""
        self._send_command(route, reset=True)

    def half_close(self, route: str, direction: str) -> None:
        """Sends FIN in one direction ("up" or "down") of every open connection."""
        self._send_command(route, half_close=direction)

    def close(self) -> None:
        if self._process.poll() is None:
            assert self._process.stdin
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _send_command(self, route: str, **command: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"route": route} | command) + "\n")
        self._process.stdin.flush()
        self._await_reply()

    def _await_reply(self) -> None:
        assert self._process.stdout
        if not self._process.stdout.readline():
            raise RuntimeError("the proxy ended")
