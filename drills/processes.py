"""Processes of the product, as the Procfile starts them, owned and looked after by the rig.

Broken only through the handle that started them: each has a session of its own, and a signal goes
to that session or to nobody.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra.layout import ROOT

STOP_SECONDS = 10.0
LOOK_SECONDS = 0.1


@dataclass
class Process:
    """One line of the Procfile. `restart` is what a supervisor does when it ends."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    folder: Path
    port: int = 0
    deaths: int = 0
    begun: int = 0
    attended: bool = True
    """The supervisor starts it again when it ends."""
    handle: "subprocess.Popen[bytes] | None" = None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def start(self, **extra: str) -> None:
        with self.lock:
            if self.alive:
                return
            self.begun += 1
            with self.log.open("ab") as out:
                out.write(f"--- start {self.begun} {extra} ---\n".encode())
                self.handle = subprocess.Popen(
                    self.command,
                    cwd=ROOT,
                    env={**self.environment, "PYTHONFAULTHANDLER": "1", **extra},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def alive(self) -> bool:
        return self.handle is not None and self.handle.poll() is None

    @property
    def pid(self) -> int:
        return self._mine().pid

    def kill(self) -> None:
        """SIGKILL to all of its session, at once."""
        self._signal(signal.SIGKILL)
        self._mine().wait(10)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM to the process itself, as an init would."""
        self._mine().send_signal(signal.SIGTERM)

    def stop(self, seconds: float = STOP_SECONDS) -> float:
        """SIGTERM; how long it took. Past `seconds` it is killed, and the time says so."""
        with self.lock:
            if not self.alive:
                return 0.0
            began = time.monotonic()
            self.thaw()
            self.terminate()
            try:
                self._mine().wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
            return time.monotonic() - began

    def resident(self) -> int:
        """Bytes of memory of all of its processes."""
        return sum(_resident(one) for one in self._members())

    def _members(self) -> Iterator[psutil.Process]:
        if not self.alive:
            return
        try:
            chief = psutil.Process(self._mine().pid)
            yield chief
            yield from chief.children(recursive=True)
        except psutil.Error:
            return

    def _mine(self) -> "subprocess.Popen[bytes]":
        if self.handle is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.handle

    def _signal(self, signum: signal.Signals) -> None:
        """Only to what we started: our own child, leader of its own session."""
        with self.lock:
            pid = self._mine().pid
            if not self.alive:
                return
            if psutil.Process(pid).ppid() != os.getpid() or os.getsid(pid) != pid:
                raise RuntimeError(f"process {pid} is not the rig's: hands off")
            os.killpg(pid, signum)


def _resident(one: psutil.Process) -> int:
    try:
        return int(one.memory_info().rss)
    except psutil.Error:
        return 0


class Supervisor:
    """Starts again what ended, half a second later, as a service manager does."""

    def __init__(self, processes: Callable[[], list[Process]], pause: float = 0.5) -> None:
        self._processes = processes
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(5)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for one in self._processes():
                if one.attended and one.handle is not None and not one.alive:
                    one.deaths += 1
                    if self._over.wait(self._pause):
                        return
                    if one.attended:
                        one.start()
