"""Finds, starts, pauses and kills the processes of a service, by the tag on their command lines.

Pid files and process groups are not sufficient: a pid may have been reused, and every PostgreSQL backend
has a session of its own.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SERVICE_PROCESS_NAMES = {"postgres", "valkey-server", "redis-server", "java"}
POLL_INTERVAL_SECONDS = 0.02
MAX_LOG_BYTES = 20_000_000

# Children of a long-lived parent, such as a test run, must be reaped.
_child_processes: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    command: Sequence[str]
    working_dir: Path
    log_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def find_service_processes(tag: str) -> list[psutil.Process]:
    """All running processes of the service, the main process first if there is one."""
    _reap_children()
    matching = []
    for process in psutil.process_iter():
        try:
            if process.name() in SERVICE_PROCESS_NAMES and tag in " ".join(process.cmdline()):
                matching.append(process)
        except psutil.Error:
            continue  # ended, or a zombie
    main_process = find_main_process(matching, tag)
    return (
        matching
        if main_process is None
        else [main_process, *(other for other in matching if other != main_process)]
    )


def find_main_process(candidates: Iterable[psutil.Process], tag: str) -> psutil.Process | None:
    """The process that was started: `NAME=TAG` on its command line and no parent among the candidates.

    Orphaned PostgreSQL backends have the tag without the equals sign in their title.
    """
    pids = {process.pid for process in candidates}
    for process in candidates:
        try:
            if f"={tag}" in " ".join(process.cmdline()) and process.ppid() not in pids:
                return process
        except psutil.Error:
            continue
    return None


def service_environment() -> dict[str, str]:
    """Our environment without variables that would configure the service or mark it as part of a run."""
    foreign_prefixes = ("PG", "KAFKA_", "JAVA_", "JDK_", "NOTIFICATIONS_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign_prefixes)}
    # In another locale Java cannot open a path that is not ASCII.
    return inherited | {"LC_ALL": "C.UTF-8"}


def spawn(launch: LaunchSpec) -> int:
    """Starts it in a session of its own, so that it does not receive Ctrl-C of the terminal."""
    if launch.log_file.exists() and launch.log_file.stat().st_size > MAX_LOG_BYTES:
        launch.log_file.replace(launch.log_file.with_suffix(".old.log"))
    with launch.log_file.open("ab") as log_file:
        child = subprocess.Popen(
            launch.command,
            cwd=launch.working_dir,
            env=service_environment() | dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,
        )
    _child_processes.append(child)
    return child.pid


def send_signal(processes: Iterable[psutil.Process], signum: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(signum)  # psutil checks that the pid was not reused
        except psutil.NoSuchProcess:
            continue


def pause(tag: str) -> None:
    """SIGSTOP, repeated until no process is running: the main process may start children meanwhile."""
    wait_until(lambda: _signal_unless_paused(tag, signal.SIGSTOP), 5)


def resume(tag: str) -> None:
    send_signal(reversed(find_service_processes(tag)), signal.SIGCONT)


def kill(tag: str) -> None:
    """SIGKILL to all. The main process first: PostgreSQL's would otherwise start a recovery."""
    killed: set[psutil.Process] = set()

    def kill_remaining() -> bool:
        remaining = find_service_processes(tag)
        send_signal(remaining, signal.SIGKILL)
        killed.update(remaining)
        return not remaining

    wait_until(kill_remaining, 10)
    _wait_exited(killed)


def terminate(tag: str, signum: signal.Signals, timeout_seconds: float) -> bool:
    """Sends the signal to the main process, then SIGKILL after the timeout. True if it stopped in time."""
    service_processes = find_service_processes(tag)
    send_signal(service_processes[:1], signum)
    send_signal(service_processes, signal.SIGCONT)  # paused processes handle the signal once resumed
    exited_in_time = wait_until(lambda: not find_service_processes(tag), timeout_seconds)
    if not exited_in_time:
        kill(tag)
    _wait_exited(service_processes)
    return exited_in_time


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_SECONDS)
    return True


def is_alive(pid: int) -> bool:
    _reap_children()
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def is_paused(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return True


def _signal_unless_paused(tag: str, signum: signal.Signals) -> bool:
    running = [process for process in find_service_processes(tag) if not is_paused(process)]
    send_signal(running, signum)
    return not running


def _wait_exited(processes: Iterable[psutil.Process]) -> None:
    """A process that ends loses its command line before it releases its ports."""
    pids = [process.pid for process in processes]
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 2)


def _reap_children() -> None:
    _child_processes[:] = [child for child in _child_processes if child.poll() is None]
