"""The environment of a cluster: its own folder, services, small disks, migrated tables."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.dynamodb import DynamoDB
from infra.kafka_cluster import three_broker_services
from infra.paths import PROJECT_ROOT
from infra.services import SERVICES, EmbeddedServices

OWNERSHIP_MARKER = "owned-by-the-drills"
CLONE_NEWNS = 0x00020000


@dataclass(frozen=True)
class ClusterSpec:
    """What a drill needs of its cluster. Drills with equal specs share one."""

    settings: tuple[tuple[str, str], ...] = ()
    use_tcp_proxy: bool = False
    """Connect processes to services through the TCP proxy."""
    tmpfs_sizes_mb: tuple[tuple[str, int], ...] = ()
    """Services whose folder is a tmpfs, with its size."""
    three_brokers: bool = False
    """Three Kafka brokers instead of one."""
    in_memory_dynamodb: bool = False
    """For drills with very long delivery logs that do not kill DynamoDB."""


def create_services(
    folder: Path, print_progress: Callable[[str], None], cluster_spec: ClusterSpec
) -> EmbeddedServices:
    services_by_name = dict(three_broker_services() if cluster_spec.three_brokers else SERVICES)
    if cluster_spec.in_memory_dynamodb:
        services_by_name["dynamodb"] = DynamoDB(in_memory=True)
    return EmbeddedServices(folder, print_progress, services_by_name)


def claim_folder(folder: Path) -> None:
    """Deletes everything in the folder. Raises RuntimeError unless it is empty or has the drills' marker."""
    if folder.exists() and any(folder.iterdir()) and not (folder / OWNERSHIP_MARKER).exists():
        raise RuntimeError(f"{folder} is not empty and was not created by the drills")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    (folder / OWNERSHIP_MARKER).touch()
    if (folder / "services").exists():
        # The last cluster may have been killed, whichever services it had.
        EmbeddedServices(folder / "services", services_by_name=SERVICES | three_broker_services()).stop()
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)


def migrate(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    result = subprocess.run(command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"the migration failed:\n{result.stdout}{result.stderr}")


def mount_small_disks(sizes_mb: Mapping[Path, int]) -> None:
    """Mounts in a namespace of this process, so that they disappear with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise RuntimeError(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for folder, size_mb in sizes_mb.items():
        folder.mkdir()
        options = f"size={size_mb}m,mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def write_ports(path: Path, ports: Mapping[str, int]) -> None:
    path.write_text(json.dumps(dict(ports)) + "\n")
