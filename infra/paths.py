"""Paths below DATA_DIR (default .data) and of the downloads, which all DATA_DIRs share; disk checks."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from infra.errors import InfraError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
CACHE_DIR = PROJECT_ROOT / ".cache"
VENDOR_DIR = PROJECT_ROOT / "jinja" / "static" / "vendor"
MIN_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DataDirPaths:
    """Paths below one DATA_DIR."""

    data_dir: Path

    def service_dir(self, service: str) -> Path:
        return self.data_dir / service

    def log_file(self, service: str) -> Path:
        return self.data_dir / "logs" / f"{service}.log"

    def pid_file(self, service: str) -> Path:
        return self.data_dir / "pids" / f"{service}.pid"

    @property
    def ports_file(self) -> Path:
        return self.data_dir / "ports.json"

    def process_tag(self, service: str) -> str:
        """An argument on the command line of a service's processes, constant for this DATA_DIR.

        Identifies them more reliably than a pid file, which may be stale after a crash or a reboot.
        """
        digest = hashlib.sha256(f"{self.data_dir}:{service}".encode()).hexdigest()
        return f"notifications-{service}-{digest[:12]}"

    def create_dirs(self) -> None:
        try:
            for name in ("", "logs", "pids"):
                (self.data_dir / name).mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise InfraError(f"DATA_DIR {self.data_dir} cannot be created: {exc.strerror}.") from exc
        require_writable(self.data_dir)
        require_free_disk_space(self.data_dir)


def data_dir_paths(data_dir: str | os.PathLike[str] | None = None) -> DataDirPaths:
    path = Path(data_dir or os.environ.get("DATA_DIR") or ".data")
    return DataDirPaths((path if path.is_absolute() else PROJECT_ROOT / path).resolve())


def jar_dir(service: str) -> Path:
    return CACHE_DIR / "jars" / service


def require_writable(directory: Path) -> None:
    if os.access(directory, os.W_OK | os.X_OK):
        return
    raise InfraError(
        f"{directory} belongs to another user; start as that user, or set DATA_DIR to a folder of your own."
    )


def free_disk_bytes(directory: Path) -> int:
    return shutil.disk_usage(directory).free


def require_free_disk_space(directory: Path) -> None:
    available_bytes = free_disk_bytes(directory)
    if available_bytes < MIN_FREE_BYTES:
        raise InfraError(
            f"Only {available_bytes // 1_000_000} MB are free on the disk of {directory}; "
            f"{MIN_FREE_BYTES // 1_000_000} MB are needed. Free some space or set DATA_DIR to another disk."
        )
