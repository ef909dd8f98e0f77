"""Layout: where things lie. Downloads are shared by all DATA_DIRs, everything else is below one.

In    DATA_DIR (environment, .env, default .data)
Out   paths and the disk check, for every module of infra
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from infra.trouble import Trouble

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VENDOR = ROOT / "jinja" / "static" / "vendor"
NEEDED_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """One DATA_DIR; two of them share nothing but the downloads."""

    data_dir: Path

    def folder(self, service: str) -> Path:
        return self.data_dir / service

    def log(self, service: str) -> Path:
        return self.data_dir / "logs" / f"{service}.log"

    def pid_file(self, service: str) -> Path:
        return self.data_dir / "pids" / f"{service}.pid"

    @property
    def ports(self) -> Path:
        return self.data_dir / "ports.json"

    def tag(self, service: str) -> str:
        """A word on the command line of a service's processes, the same for this DATA_DIR for ever.

        A pid file can lie (a crash, a reboot, a reused pid); a command line cannot.
        """
        digest = hashlib.sha256(f"{self.data_dir}:{service}".encode()).hexdigest()
        return f"notifications-{service}-{digest[:12]}"

    def create(self) -> None:
        try:
            for name in ("", "logs", "pids"):
                (self.data_dir / name).mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise Trouble(f"DATA_DIR {self.data_dir} cannot be made: {fault.strerror}.") from fault
        check_owner(self.data_dir)
        check_disk(self.data_dir)


def layout(data_dir: str | os.PathLike[str] | None = None) -> Layout:
    chosen = Path(data_dir or os.environ.get("DATA_DIR") or ".data")
    return Layout((chosen if chosen.is_absolute() else ROOT / chosen).resolve())


def jars(service: str) -> Path:
    return CACHE / "jars" / service


def check_owner(folder: Path) -> None:
    if os.access(folder, os.W_OK | os.X_OK):
        return
    raise Trouble(
        f"{folder} belongs to another user; start as that user, "
        "or set DATA_DIR to a folder of yours."
    )


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def check_disk(folder: Path) -> None:
    free = free_bytes(folder)
    if free < NEEDED_BYTES:
        raise Trouble(
            f"Only {free // 1_000_000} MB are free where {folder} lies; "
            f"{NEEDED_BYTES // 1_000_000} MB are needed. Make room or set DATA_DIR elsewhere."
        )
