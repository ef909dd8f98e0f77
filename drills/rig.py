"""The rig: owns what it breaks. Services of its own in a fresh folder, processes of its own.

In    a folder that is its alone; settings of the product; whether a proxy stands in between
Out   running services and processes, addresses, hands to break them with

    with Rig(folder, say) as rig:
        rig.services.kill("kafka")
        rig.workers["bridge"].kill()        # the supervisor starts it again
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import redis
from sqlalchemy import Engine, create_engine, text

from app.domain.loops import PROCESSES
from app.stores.postgres import driver_url
from bench.stage import answers, free_port, procfile, wait_until
from drills.ground import Setup, migrate, services_in, small_disks, take, write_ports
from drills.processes import Process, Supervisor
from drills.proxy import Proxy
from infra import ports
from infra.services import NAMES as SERVICES

START_SECONDS = 90.0
SECRET = "the drills' secret, long enough for HS256 and no secret at all"  # noqa: S105
SETTINGS = {
    "APP_MODE": "testing",
    "HOST": "127.0.0.1",
    "JWT_SECRET_KEY": SECRET,
    "SECRET_KEY": SECRET,
    "LOG_LEVEL": "info",
    "LOG_FORMAT": "text",
    "RATE_LIMIT_ENABLED": "false",
    "AGGREGATION_WINDOW_SECONDS": "4",
    "AGGREGATION_JITTER_SECONDS": "2",
    "BREAKER_RESET_SECONDS": "1",
    "BREAKER_FAILURES": "3",
}
URLS = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "dynamodb": "DYNAMODB_ENDPOINT_URL",
}


class Rig:
    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        setup: Setup = Setup(),  # noqa: B008 - frozen
    ) -> None:
        self.folder = folder
        self.setup = setup
        self.proxy: Proxy | None = None
        self.webs: list[Process] = []
        self.workers: dict[str, Process] = {}
        self.more: list[Process] = []
        self._say = say
        take(folder)
        self.services = services_in(folder / "services", say, setup)

    def __enter__(self) -> "Rig":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def processes(self) -> list[Process]:
        return [*self.webs, *self.workers.values(), *self.more]

    @property
    def ports(self) -> list[int]:
        return [one.port for one in self.webs]

    def replace(self, process: Process, **extra: str) -> None:
        """Stops it and starts it with that in its environment; a later death forgets it."""
        process.attended = False
        process.stop()
        process.start(**extra)
        process.attended = True

    def add(self, name: str) -> Process:
        """One more worker of a kind; `remove` takes it away."""
        one = self._process(f"{name}-{len(self.more) + 2}", procfile()[name], {})
        one.start()
        self.more.append(one)
        return one

    def remove(self, one: Process) -> None:
        one.attended = False
        one.stop()
        self.more.remove(one)

    def memory(self) -> dict[str, float]:
        """MB per process, and of Redis."""
        found = {one.name: one.resident() / 1e6 for one in self.processes}
        with contextlib.suppress(redis.RedisError):  # it may be what is broken just now
            found["redis"] = int(self.redis.info("memory")["used_memory"]) / 1e6
        return found

    def thaw(self) -> None:
        """Whatever a drill that failed half-way left broken."""
        if self.proxy:
            self.proxy.heal()
        for one in self.processes:
            if one.alive:
                one.thaw()
        self.services.start()
        for extra in list(self.more):
            self.remove(extra)

    def close(self) -> None:
        if hasattr(self, "_supervisor"):
            self._supervisor.close()
        for one in self.processes:
            one.attended = False
            if one.alive:
                one.thaw()
                one.terminate()
        for one in self.processes:
            one.stop()
        if self.proxy:
            self.proxy.close()
        if hasattr(self, "engine"):
            self.engine.dispose()
            self.redis.close()
        self.services.stop()
        for name, _ in self.setup.tmpfs:
            subprocess.run(["umount", "-l", str(self.services.layout.folder(name))], check=False)
        shutil.rmtree(self.folder / "services", ignore_errors=True)

    def _start(self) -> None:
        self._say("Starting the services ...")
        self.services.layout.create()
        real = ports.keep(self.services.layout.ports, (*SERVICES, "kafka_controller"))
        if self.setup.proxied:
            lanes = {name: (free_port(), real[name]) for name in SERVICES}
            # The broker tells its clients where to find it: that must be the proxy.
            advertised = {"kafka_advertised": lanes["kafka"][0]}
            write_ports(self.services.layout.ports, real | advertised)
            self.proxy = Proxy(lanes)
        if self.setup.tmpfs:
            small_disks({self.services.layout.folder(name): mb for name, mb in self.setup.tmpfs})
        self._start_processes(self.services.start(), real)

    def _start_processes(self, direct: Mapping[str, str], real: Mapping[str, int]) -> None:
        self.engine: Engine = create_engine(driver_url(direct["DATABASE_URL"]), pool_pre_ping=True)
        self.redis = redis.Redis.from_url(direct["REDIS_URL"], decode_responses=True)
        self.environment = self._environment(direct, real)
        migrate(self.environment | dict(direct))
        (self.folder / "logs").mkdir()
        lines = procfile()
        for number in (1, 2):
            port = {"PORT": str(free_port())}
            self.webs.append(self._process(f"web-{number}", lines["web"], port))
        for name in PROCESSES:
            self.workers[name] = self._process(name, lines[name], {})
        self._supervisor = Supervisor(lambda: self.processes)
        for one in self.processes:
            one.start()
        self.await_processes()

    def await_processes(self) -> None:
        for web in self.webs:
            wait_until(lambda web=web: answers(web.port), f"{web.name} to answer", START_SECONDS)  # type: ignore[misc]
        for one in self.workers.values():
            wait_until(lambda one=one: self._beats(one), f"{one.name} to turn", START_SECONDS)  # type: ignore[misc]

    def _beats(self, one: Process) -> bool:
        return any(self.redis.scan_iter(f"heartbeat:*:{one.pid}", count=1000))

    def _process(self, name: str, command: str, extra: dict[str, str]) -> Process:
        environment = self.environment | extra
        port = int(extra.get("PORT", 0))
        return Process(name, command.split(), environment, self.folder / "logs", port)

    def _environment(self, direct: Mapping[str, str], real: Mapping[str, int]) -> dict[str, str]:
        addresses = dict(direct)
        if self.proxy:
            for name, variable in URLS.items():
                addresses[variable] = addresses[variable].replace(
                    f":{real[name]}", f":{self.proxy.ports[name]}"
                )
        kept = {name: value for name, value in os.environ.items() if name != "FAILPOINT"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        own = {"DATA_DIR": str(self.services.layout.data_dir), "PATH": path}
        return kept | addresses | SETTINGS | own | dict(self.setup.settings)

    def own(self, service: str) -> int:
        """The pid of a service's main process; raises unless it lives in the rig's folder."""
        if self.folder not in self.services.layout.data_dir.parents:
            raise RuntimeError(f"{self.services.layout.data_dir} is not the rig's: hands off")
        pid = self.services.status(service)[service].pid
        if pid is None:
            raise RuntimeError(f"{service} does not run")
        return pid

    def rows(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as sql:
            return [tuple(row) for row in sql.execute(text(statement), values)]
