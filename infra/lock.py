"""Lock: resolves the manifest into manifest.lock. For whoever changes a version; never at set-up.

In    infra/manifest.toml
Out   infra/manifest.lock: one line per file, sha256, owner, coordinate
"""

import tempfile
import zipfile
from pathlib import Path

from infra import layout
from infra.manifest import LOCK, sha256, wanted_artefacts, wanted_browser_files

HEADER = "# Made by `python -m infra lock` from manifest.toml; checked at every set-up.\n"
# Native libraries of systems on which the embedded PostgreSQL and Redis wheels do not run.
UNUSED = (":dll:", ":dylib:", "linux-i386")


def write() -> int:
    layout.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=layout.CACHE) as folder:
        rows = [*_jar_rows(Path(folder)), *_browser_rows(Path(folder))]
    LOCK.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return len(rows)


def _jar_rows(folder: Path) -> list[str]:
    from infra.repositories import context

    maven = context(folder)
    rows = []
    for service, coordinates in wanted_artefacts().items():
        asked = [maven.create_dependency(coordinate) for coordinate in coordinates]
        direct, inherited = maven.resolver.resolve(asked)
        for part in sorted({found.artifact.key: found for found in direct + inherited}.items()):
            artifact = part[1].artifact
            name = ":".join((part[1].groupId, part[1].artifactId, part[1].type, part[1].version))
            if not any(word in name for word in UNUSED):
                rows.append(f"{sha256(artifact.resolve())}  {service}  {name}")
    return rows


def _browser_rows(folder: Path) -> list[str]:
    import subprocess
    import sys

    rows = []
    for name, source in wanted_browser_files().items():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
        subprocess.run([*command, source["package"]], check=True)
        wheel = next(folder.glob(source["package"].partition("==")[0] + "-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            rows.append(
                f"{sha256(Path(archive.extract(source['member'], folder)))}  browser  {name}"
            )
    return rows
