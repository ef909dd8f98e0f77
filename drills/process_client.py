"""What runs during a drill: the client of the load generator's process, and a sampler of memory."""

import subprocess
import sys
import threading
from pathlib import Path

from drills.cluster import Cluster
from infra.paths import PROJECT_ROOT

MEMORY_SAMPLE_INTERVAL_SECONDS = 1.0


class LoadGeneratorProcess:
    """Starts drills/load_generator.py and sends it commands. Returns when its sockets have joined."""

    def __init__(self, config_path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "drills.load_generator", str(config_path)],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect_line("ready")

    def stop_requests(self) -> None:
        """Returns when no new requests are sent and the last one is answered."""
        self._send_line("stop")
        self._expect_line("stopped")

    def close(self) -> None:
        if self._process.poll() is None:
            try:
                self._send_line("exit")
                self._process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
                self._process.wait()

    def _send_line(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _expect_line(self, expected: str) -> None:
        assert self._process.stdout
        if self._process.stdout.readline().strip() != expected:
            raise RuntimeError("the load generator ended")


class MemorySampler:
    """Megabytes of every process, once a second."""

    def __init__(self, cluster: Cluster) -> None:
        self.samples_mb: dict[str, list[float]] = {}
        self._cluster = cluster
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stopped.wait(MEMORY_SAMPLE_INTERVAL_SECONDS):
            for name, megabytes in self._cluster.measure_memory_mb().items():
                self.samples_mb.setdefault(name, []).append(megabytes)
