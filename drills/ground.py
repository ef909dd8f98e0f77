"""The ground of a rig: a folder that is its alone, small disks, tables.

In    drills/rig.py
Out   a folder that may be destroyed; mounts that nobody else sees
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.brokers import three_brokers
from infra.layout import ROOT
from infra.services import SERVICES, Services

MARK = "owned-by-the-drills"
CLONE_NEWNS = 0x00020000


@dataclass(frozen=True)
class Setup:
    """What a drill needs of its rig; drills that need the same share one."""

    settings: tuple[tuple[str, str], ...] = ()
    proxied: bool = False
    """A TCP proxy between our processes and the services."""
    tmpfs: tuple[tuple[str, int], ...] = ()
    """Services whose folder is a file system of so many MB."""
    brokers: bool = False
    """Three of them instead of one."""


def services_in(folder: Path, say: Callable[[str], None], setup: Setup) -> Services:
    return Services(folder, say, known=three_brokers() if setup.brokers else SERVICES)


def take(folder: Path) -> None:
    """The folder is ours or empty: everything below it will be destroyed."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise RuntimeError(f"{folder} is not empty and not the drills': hands off")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own when we are root
    (folder / MARK).touch()
    if (folder / "services").exists():
        # Whatever set the last rig had, should it have been killed.
        Services(folder / "services", known=SERVICES | three_brokers()).stop()
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)


def migrate(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the migration failed:\n{done.stdout}{done.stderr}")


def small_disks(sizes: Mapping[Path, int]) -> None:
    """Mounts that only we and our children see, and that end with us."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise RuntimeError(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for folder, mb in sizes.items():
        folder.mkdir()
        options = f"size={mb}m,mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def write_ports(path: Path, known: Mapping[str, int]) -> None:
    path.write_text(json.dumps(dict(known)) + "\n")
