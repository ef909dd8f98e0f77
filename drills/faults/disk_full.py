"""The disk of Redis, Kafka or PostgreSQL is full for a while: nothing acknowledged is lost.

The disk is a small tmpfs in a mount namespace; without the right to create one the drill is skipped.
"""

import os
import subprocess
from pathlib import Path

from app.devtools.checker.request_log import DESIRED_ACTIVE_BY_KIND
from drills.drill import ALL_REQUEST_KINDS, POSTGRES_KINDS, Drill, Scenario
from drills.sandbox import ClusterSpec

BYTES_PER_MB = 1_000_000
DISK_SIZES_MB = {"redis": 48, "kafka": 96, "postgres": 220}


def mount_unsupported_reason() -> str | None:
    if os.geteuid() != 0:
        return "needs root to mount a tmpfs"
    result = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return None if result.returncode == 0 else "mount namespaces are not allowed here"


def fill_disk(folder: Path) -> Path:
    fill_file = folder / "filler"
    with fill_file.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * BYTES_PER_MB)
                file.flush()
        except OSError:
            return fill_file


def create_drill(service: str, guarantee_ids: tuple[str, ...], retry_later_kinds: frozenset[str]) -> Drill:
    def fill_service_disk(scenario: Scenario) -> None:
        folder = scenario.cluster.services.paths.service_dir(service)
        fill_file = fill_disk(folder)
        try:
            scenario.run_load(scenario.pick_short_or_full(8, 20))
        finally:
            fill_file.unlink()
        scenario.run_load(2)
        scenario.measurements["state with a full disk"] = scenario.cluster.services.status(service)[
            service
        ].state
        scenario.kill_service_if_running(service)
        scenario.cluster.services.start(service)

    return Drill(
        f"disk-full-{service}",
        f"{service}: disk full, then free again",
        guarantee_ids,
        fill_service_disk,
        cluster_spec=ClusterSpec(tmpfs_sizes_mb=((service, DISK_SIZES_MB[service]),)),
        retry_later_kinds=retry_later_kinds,
        max_quiescence_seconds=240,
        unsupported_reason=mount_unsupported_reason,
    )


DRILLS = (
    create_drill("redis", ("P1", "P7", "P11"), ALL_REQUEST_KINDS),
    create_drill("kafka", ("P1", "P6", "P11"), frozenset()),
    create_drill("postgres", ("P1", "P8", "P11"), POSTGRES_KINDS | set(DESIRED_ACTIVE_BY_KIND)),
)
