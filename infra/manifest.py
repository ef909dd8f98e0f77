"""Reads the manifest (coordinates to download) and the lock file (files with their sha256)."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from infra.errors import InfraError

INFRA_DIR = Path(__file__).parent
MANIFEST_PATH = INFRA_DIR / "manifest.toml"
LOCK_PATH = INFRA_DIR / "manifest.lock"


@dataclass(frozen=True, slots=True)
class LockedJar:
    """`coordinate` is group:artifact:packaging:version."""

    service: str
    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        group, artifact, packaging, version = self.coordinate.split(":")
        # The SQLite loader of DynamoDB Local expects its native library without a version.
        if packaging != "jar":
            return f"{artifact}.{packaging}"
        # Two groups may have an artifact of the same name, so the group is part of the file name.
        return f"{group}.{artifact}-{version}.jar"


@dataclass(frozen=True, slots=True)
class LockedBrowserFile:
    """A script for the pages, extracted from a pinned Python package."""

    filename: str
    package: str
    path_in_package: str
    sha256: str


@dataclass(frozen=True, slots=True)
class LockedFiles:
    jars: tuple[LockedJar, ...]
    browser_files: tuple[LockedBrowserFile, ...]


def read_maven_coordinates(path: Path = MANIFEST_PATH) -> dict[str, list[str]]:
    """Service -> direct dependencies, without those that they depend on."""
    services = tomllib.loads(path.read_text())["services"]
    return {name: list(entry["artifacts"]) for name, entry in services.items()}


def read_browser_packages(path: Path = MANIFEST_PATH) -> dict[str, dict[str, str]]:
    return dict(tomllib.loads(path.read_text())["browser"])


def read_lock_file(path: Path = LOCK_PATH) -> LockedFiles:
    rows = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    sources = read_browser_packages()
    jars = [
        LockedJar(service, coordinate, digest) for digest, service, coordinate in rows if service != "browser"
    ]
    browser_files = [
        LockedBrowserFile(name, sources[name]["package"], sources[name]["member"], digest)
        for digest, service, name in rows
        if service == "browser"
    ]
    return LockedFiles(tuple(jars), tuple(browser_files))


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_sha256(path: Path, expected_sha256: str) -> None:
    """Deletes the file and raises InfraError if the checksum differs."""
    actual_sha256 = file_sha256(path)
    if actual_sha256 == expected_sha256:
        return
    path.unlink()
    raise InfraError(
        f"{path.name} has sha256 {actual_sha256[:16]}... where infra/manifest.lock says "
        f"{expected_sha256[:16]}...; it was removed. Run `make setup` again; "
        "if that does not help, do not trust your package mirror."
    )
