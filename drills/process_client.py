"""What runs during a drill: the client of the load generator's process, and a sampler of memory."""

import threading
from pathlib import Path

from drills.cluster import Cluster
from harness.helper_process import HelperProcess

MEMORY_SAMPLE_INTERVAL_SECONDS = 1.0


class LoadGeneratorProcess(HelperProcess):
    """Starts drills/load_generator.py and sends it commands. Returns when its sockets have joined."""

    def __init__(self, config_path: Path) -> None:
        super().__init__("drills.load_generator", str(config_path))
        self.read_response()

    def stop_requests(self) -> None:
        """Returns when no new requests are sent and the last one is answered."""
        self.request({})


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
