"""Manifest: what must be fetched, and the lock that says what was meant, byte for byte.

In    infra/manifest.toml (coordinates), infra/manifest.lock (files and sha256)
Out   Jar and BrowserFile rows for infra/fetch.py and infra/lock.py
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from infra.trouble import Trouble

HERE = Path(__file__).parent
MANIFEST = HERE / "manifest.toml"
LOCK = HERE / "manifest.lock"


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of the Java world; `coordinate` is group:artifact:packaging:version."""

    service: str
    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        group, artifact, packaging, version = self.coordinate.split(":")
        # The sqlite loader of DynamoDB Local looks for its native library without a version.
        if packaging != "jar":
            return f"{artifact}.{packaging}"
        # Two groups may own the same artifact name, so the group is part of the file name.
        return f"{group}.{artifact}-{version}.jar"


@dataclass(frozen=True, slots=True)
class BrowserFile:
    """One script for the pages, out of a pinned package."""

    filename: str
    package: str
    member: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Locked:
    jars: tuple[Jar, ...]
    browser_files: tuple[BrowserFile, ...]


def wanted_artefacts(path: Path = MANIFEST) -> dict[str, list[str]]:
    """Coordinates per service, as a person wrote them."""
    services = tomllib.loads(path.read_text())["services"]
    return {name: list(entry["artefacts"]) for name, entry in services.items()}


def wanted_browser_files(path: Path = MANIFEST) -> dict[str, dict[str, str]]:
    return dict(tomllib.loads(path.read_text())["browser"])


def locked(path: Path = LOCK) -> Locked:
    """The rows of the lock file: sha256, owner, coordinate."""
    rows = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    sources = wanted_browser_files()
    jars = [Jar(owner, name, digest) for digest, owner, name in rows if owner != "browser"]
    files = [
        BrowserFile(name, sources[name]["package"], sources[name]["member"], digest)
        for digest, owner, name in rows
        if owner == "browser"
    ]
    return Locked(tuple(jars), tuple(files))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, expected: str) -> None:
    """Remove a file that is not what the lock says: kept, it would be trusted the next time."""
    found = sha256(path)
    if found == expected:
        return
    path.unlink()
    raise Trouble(
        f"{path.name} has sha256 {found[:16]}... where infra/manifest.lock says "
        f"{expected[:16]}...; it was removed. Run `make setup` again; "
        "if it stays so, do not trust your package mirror."
    )
