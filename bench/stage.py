"""The stage: services of our own, and the product's processes as the Procfile starts them.

In    nothing, or BENCH_DATA_DIR: a set of services that runs already and may be filled with data
Out   addresses, running processes, parts wired like the product's own
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil
from sqlalchemy import text

from app.settings import load
from app.stores.gate import KEPT
from app.wiring import WorkerParts, build_workers
from bench.people import OURS
from infra.layout import ROOT
from infra.run import migrate
from infra.services import Services

START_SECONDS = 40.0
STOP_SECONDS = 10.0
SECRET = "the bench's secret, long enough for HS256 and no secret at all"  # noqa: S105
SETTINGS = {
    "APP_MODE": "testing",
    "HOST": "127.0.0.1",
    "JWT_SECRET_KEY": SECRET,
    "SECRET_KEY": SECRET,
    "LOG_LEVEL": "warning",
    "LOG_FORMAT": "text",
    # Switched on, so that its price is in the figures; nobody is refused.
    "RATE_LIMIT_ENABLED": "true",
    "RATE_LIMIT_WRITE": "1000000000 per minute",
}


@dataclass
class Stage:
    services: Services
    folder: Path
    environment: dict[str, str]
    parts: WorkerParts
    running: list["Running"] = field(default_factory=list)

    @property
    def redis_url(self) -> str:
        return self.environment["REDIS_URL"]

    def web(self, module: str, more: Mapping[str, str] | None = None) -> "Running":
        """An application under gunicorn with the product's own configuration."""
        port = free_port()
        command = procfile()["web"].replace("app.wsgi:app", module).split()
        one = self._start(module, command, {"PORT": str(port)} | dict(more or {}))
        one.port = port
        one.until(lambda: answers(port), "answer")
        return one

    def worker(self, name: str, more: Mapping[str, str] | None = None) -> "Running":
        return self._start(name, procfile()[name].split(), more or {})

    def stop(self, *some: "Running") -> None:
        """Those, or all."""
        chosen = some or tuple(self.running)
        for one in chosen:
            one.process.send_signal(signal.SIGTERM)
        for one in chosen:
            one.end()
            self.running.remove(one)

    def _start(self, name: str, command: list[str], more: Mapping[str, str]) -> "Running":
        log = self.folder / f"{name.replace(':', '.')}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment | dict(more),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.running.append(one := Running(name, process, log))
        return one


@dataclass
class Running:
    """A process of ours."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    port: int = 0

    def cpu_seconds(self) -> float:
        """Of the process and its children: gunicorn's master does nothing, its worker all."""
        master = psutil.Process(self.process.pid)
        times = [one.cpu_times() for one in [master, *master.children(recursive=True)]]
        return float(sum(one.user + one.system for one in times))

    def until(self, holds: Callable[[], bool], what: str) -> None:
        def settled() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended:\n{self.log.read_text()[-2000:]}")
            return holds()

        wait_until(settled, f"{self.name} to {what} (see {self.log})", START_SECONDS)

    def end(self) -> None:
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextlib.contextmanager
def stage(place: Path, say: Callable[[str], None]) -> Iterator[Stage]:
    """Everything is stopped at the end; services that ran before stay."""
    given = os.environ.get("BENCH_DATA_DIR")
    services = Services(given or place / "services", say)
    folder = place / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    if not given:
        _discard(services)
    made = None
    try:
        say("Starting the services ...")
        environment = dict(os.environ) | services.start() | SETTINGS
        environment |= {
            "DATA_DIR": str(services.layout.data_dir),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        os.environ.update(environment)
        migrate(services)
        made = Stage(services, folder, environment, build_workers(load(), "bench"))
        _only_ours(made)
        yield made
    finally:
        if made is not None:
            made.stop()
        if not given:
            say("Stopping the services ...")
            _discard(services)


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    pairs = [line.partition(":") for line in lines if line.strip() and not line.startswith("#")]
    return {name: command.strip() for name, _, command in pairs}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def wait_until(holds: Callable[[], bool], what: str, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            raise RuntimeError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.02)


def _discard(services: Services) -> None:
    """A stage of an earlier run would have its rows in ours."""
    if services.layout.data_dir.is_dir():
        services.stop()
        shutil.rmtree(services.layout.data_dir, ignore_errors=True)


def _only_ours(made: Stage) -> None:
    """BENCH_DATA_DIR may name the wrong folder: we fill tables and empty Redis."""
    query = text("select count(*) from users where email not like :ours")
    with made.parts.parts.engine.connect() as sql:
        strangers = sql.execute(query, {"ours": f"%{OURS}"}).scalar_one()
    if strangers:
        raise RuntimeError(f"BENCH_DATA_DIR holds {strangers} people that the bench did not make.")
    made.parts.parts.redis.flushall()
    # Words go by way of Redis, as a keeper leaves it; S1 has none.
    made.parts.parts.redis.set(KEPT, "the bench")
    gate = made.parts.parts.gate
    gate.close("the bench begins")
    since = gate.state().since
    gate.hold(since)
    gate.open("the bench", "the bench", since)
