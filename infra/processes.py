"""Processes: finds, starts, freezes and ends the processes of a service, and only those.

In    a tag that stands on the command line of each of them (infra/layout.py)
Out   signals

Neither pid files nor process groups would do: a pid may be another program's by now, and every
PostgreSQL backend makes a session of its own.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

NAMES = {"postgres", "valkey-server", "redis-server", "java"}
POLL_SECONDS = 0.02
LOG_BYTES = 20_000_000

# Kept so that children of a long-lived parent (a test run) are reaped instead of becoming zombies.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class Launch:
    """How one service is started."""

    command: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def members(tag: str) -> list[psutil.Process]:
    """Every living process of the service, the main one first if there is one."""
    _reap()
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() in NAMES and tag in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue  # gone, or a zombie
    chief = main(found, tag)
    return found if chief is None else [chief, *(one for one in found if one != chief)]


def main(found: Iterable[psutil.Process], tag: str) -> psutil.Process | None:
    """The process we started: `name=tag` on its command line and no parent among the members.

    Orphaned PostgreSQL backends carry the tag without the equals sign, in their title.
    """
    pids = {process.pid for process in found}
    for process in found:
        try:
            if f"={tag}" in " ".join(process.cmdline()) and process.ppid() not in pids:
                return process
        except psutil.Error:
            continue
    return None


def spawn(launch: Launch) -> int:
    """In a session of its own, so that Ctrl-C at the terminal does not reach it."""
    environment = {
        name: value
        for name, value in os.environ.items()
        # Settings of other programs would change ours; the mark of a run is the application's.
        if not name.startswith(("PG", "KAFKA_", "JAVA_", "JDK_", "NOTIFICATIONS_"))
    }
    if launch.log.exists() and launch.log.stat().st_size > LOG_BYTES:
        launch.log.replace(launch.log.with_suffix(".old.log"))
    with launch.log.open("ab") as log:
        child = subprocess.Popen(
            launch.command,
            cwd=launch.folder,
            env=environment | dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _children.append(child)
    return child.pid


def send(processes: Iterable[psutil.Process], signum: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(signum)  # psutil refuses if the pid has become another process
        except psutil.NoSuchProcess:
            continue


def freeze(tag: str) -> None:
    """The main process first: frozen, it cannot start children behind our back."""
    until(lambda: _all_stopped(tag, signal.SIGSTOP), 5)


def thaw(tag: str) -> None:
    send(reversed(members(tag)), signal.SIGCONT)


def destroy(tag: str) -> None:
    """SIGKILL to all of them. PostgreSQL's main process first, or it would begin to recover."""

    hit: set[psutil.Process] = set()

    def gone() -> bool:
        left = members(tag)
        send(left, signal.SIGKILL)
        hit.update(left)
        return not left

    until(gone, 10)
    _buried(hit)


def end(tag: str, signum: signal.Signals, seconds: float) -> bool:
    """Ask the main process to stop; True if it did so by itself."""
    found = members(tag)
    send(found[:1], signum)
    send(found, signal.SIGCONT)  # a frozen process hears nothing until it is thawed
    clean = until(lambda: not members(tag), seconds)
    if not clean:
        destroy(tag)
    _buried(found)
    return clean


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def is_alive(pid: int) -> bool:
    _reap()
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def is_stopped(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return True


def _all_stopped(tag: str, signum: signal.Signals) -> bool:
    running = [process for process in members(tag) if not is_stopped(process)]
    send(running, signum)
    return not running


def _buried(processes: Iterable[psutil.Process]) -> None:
    """A dying process loses its command line before it lets go of its ports: wait for the end."""
    pids = [process.pid for process in processes]
    until(lambda: not any(is_alive(pid) for pid in pids), 2)


def _reap() -> None:
    _children[:] = [child for child in _children if child.poll() is None]
