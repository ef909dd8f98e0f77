"""The crew: worker processes as `make run` starts them, each by its own command line.

crew.hire("bridge")                        a fresh one; what it says is kept for messages
crew.replace("bridge", FAILPOINT="...")    the old one is asked to stop, and must within 4 s
crew.web().address                         a web process under gunicorn, on a port of its own
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from app.domain.loops import PROCESSES
from app.stores.gate import OPEN
from tests.conftest import ROOT

NAMES = PROCESSES
STOP_SECONDS = 4.0
START_SECONDS = 45.0
"""Imports take two seconds of CPU, and a machine of two cores may have more to do."""


def until(done: Callable[[], object], seconds: float, what: str) -> None:
    """Waits for a condition, at most so long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Member:
    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """A web process takes connections. A dead one never will."""
        assert self.alive, self.said()
        with socket.socket() as knock:
            knock.settimeout(1)
            return knock.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        """The end of what it wrote: the evidence when something is wrong."""
        lines = self.log.read_text(errors="replace").splitlines()[-40:]
        return f"--- {self.name} ({self.process.poll()}) ---\n" + "\n".join(lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> float:
        """SIGTERM; how long it took. It must be soon and clean."""
        began = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(timeout=STOP_SECONDS + 1)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler writes down where it hangs
            self.process.wait(timeout=10)
            raise AssertionError(f"did not stop: {self.said()}") from None
        assert code == 0, self.said()
        return time.monotonic() - began

    def dies(self, seconds: float) -> None:
        """Waits for its fail point."""
        until(lambda: not self.alive, seconds, f"death of {self.said()}")
        assert self.process.returncode == -signal.SIGKILL, self.said()


@dataclass
class Crew:
    environment: dict[str, str]
    folder: Path
    redis: "redis.Redis"
    members: dict[str, Member] = field(default_factory=dict)
    everyone: list[Member] = field(default_factory=list)

    def hire(self, name: str, **extra: str) -> Member:
        """A fresh process under this name; whoever had the name is out of the crew's sight."""
        member = self.start(name, **extra)
        self.members[name] = member
        return member

    def start(self, name: str, **extra: str) -> Member:
        """One more beside the crew; the caller looks after it."""
        return self._start(name, [sys.executable, "-m", "workers", name], extra)

    def web(self, port: int = 0, **extra: str) -> Member:
        """One more web process, on a port of its own or this one; back when it answers."""
        port = port or free_port()
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"]
        member = self._start("web", command, extra | {"PORT": str(port)})
        member.port = port
        until(member.answers, START_SECONDS, f"the first answer of {member.log}")
        return member

    def _start(self, name: str, command: list[str], extra: dict[str, str]) -> Member:
        log = self.folder / f"{len(self.everyone):03d}-{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | self.environment | {"PYTHONFAULTHANDLER": "1"} | extra,
                stdout=out,
                stderr=out,
            )
        member = Member(name, process, log)
        self.everyone.append(member)
        return member

    def replace(self, name: str, **extra: str) -> Member:
        old = self.members[name]
        until(lambda: self.lives(old), START_SECONDS, f"the first heartbeat of {old.said()}")
        old.stop()
        return self.hire(name, **extra)

    def opens(self) -> None:
        """Waits until words go by way of Redis; before, they go past it."""
        try:
            until(lambda: self.redis.exists(OPEN), 2 * START_SECONDS, "an open gate")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.evidence()}") from None

    def lives(self, member: Member) -> bool:
        """Its loop has turned: imports are done and signals are listened to."""
        return any(self.redis.scan_iter(f"heartbeat:*:{member.process.pid}", count=1000))

    def evidence(self) -> str:
        return "\n".join(member.said() for member in self.members.values())

    def dismiss(self) -> None:
        """Nothing stays behind, whatever the tests did."""
        left = [member for member in self.everyone if member.alive]
        for member in left:
            member.process.terminate()
        for member in left:
            try:
                member.process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                member.kill()
