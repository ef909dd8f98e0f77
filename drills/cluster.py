"""The cluster that a drill breaks: services in a folder of its own, two web processes, the workers.

with Cluster(folder, print) as cluster:
    cluster.services.kill("kafka")
    cluster.worker_processes["bridge"].kill()        # the supervisor restarts it
"""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

import redis
from sqlalchemy import Engine, create_engine, text

from app.clients.postgres import psycopg2_url
from app.domain.worker_loops import WORKER_PROCESSES
from app.operations.heartbeats import read_heartbeats
from drills.sandbox import (
    ClusterSpec,
    claim_folder,
    create_services,
    migrate,
    mount_small_disks,
    write_ports,
)
from drills.tcp_proxy_client import TcpProxyProcess
from harness.environment import build_environment
from harness.network import free_port, is_responding
from harness.processes import ManagedProcess, create_web_process, create_worker, stop_all
from harness.supervisor import Supervisor
from harness.waiting import wait_until
from infra import ports
from infra.services import SERVICE_NAMES

START_TIMEOUT_SECONDS = 90.0
CLUSTER_SETTINGS = {
    "LOG_LEVEL": "info",
    # Drills count the `event` field of log lines.
    "LOG_FORMAT": "json",
    "RATE_LIMIT_ENABLED": "false",
    "AGGREGATION_WINDOW_SECONDS": "4",
    "AGGREGATION_JITTER_SECONDS": "2",
    "BREAKER_RESET_SECONDS": "1",
    "BREAKER_FAILURES": "3",
}
URL_SETTINGS = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "dynamodb": "DYNAMODB_ENDPOINT_URL",
}


class Cluster:
    def __init__(
        self,
        folder: Path,
        print_progress: Callable[[str], None],
        spec: ClusterSpec = ClusterSpec(),  # noqa: B008 - frozen
    ) -> None:
        self.folder = folder
        self.log_dir = folder / "logs"
        self.spec = spec
        self.proxy: TcpProxyProcess | None = None
        self.web_processes: list[ManagedProcess] = []
        self.worker_processes: dict[str, ManagedProcess] = {}
        self.extra_processes: list[ManagedProcess] = []
        self._print_progress = print_progress
        claim_folder(folder)
        self.services = create_services(folder / "services", print_progress, spec)

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def processes(self) -> list[ManagedProcess]:
        return [*self.web_processes, *self.worker_processes.values(), *self.extra_processes]

    @property
    def web_ports(self) -> list[int]:
        return [process.port for process in self.web_processes]

    def restart_with_env(self, process: ManagedProcess, **extra_env: str) -> None:
        """Restarts it once with these variables; a later restart by the supervisor is without them."""
        process.is_supervised = False
        process.stop()
        process.start(**extra_env)
        process.is_supervised = True

    def add_worker(self, worker_name: str) -> ManagedProcess:
        """Starts one more worker of a kind."""
        name = f"{worker_name}-{len(self.extra_processes) + 2}"
        process = create_worker(worker_name, self.process_env, self.log_dir, name)
        process.start()
        self.extra_processes.append(process)
        return process

    def remove_worker(self, process: ManagedProcess) -> None:
        process.is_supervised = False
        process.stop()
        self.extra_processes.remove(process)

    def measure_memory_mb(self) -> dict[str, float]:
        """Megabytes of each process and of Redis."""
        megabytes_by_process = {
            process.name: process.measure_resident_bytes() / 1e6 for process in self.processes
        }
        with contextlib.suppress(redis.RedisError):  # Redis may be what the drill broke
            megabytes_by_process["redis"] = int(self.redis.info("memory")["used_memory"]) / 1e6
        return megabytes_by_process

    def undo_faults(self) -> None:
        """Repairs what a drill that was aborted left broken."""
        if self.proxy:
            self.proxy.clear_toxics()
        for process in self.processes:
            if process.is_running:
                process.resume()
        self.services.start()
        for extra_process in list(self.extra_processes):
            self.remove_worker(extra_process)

    def close(self) -> None:
        if hasattr(self, "_supervisor"):
            self._supervisor.close()
        for process in self.processes:
            process.is_supervised = False
        stop_all(self.processes)
        if self.proxy:
            self.proxy.close()
        if hasattr(self, "engine"):
            self.engine.dispose()
            self.redis.close()
        self.services.stop()
        for name, _ in self.spec.tmpfs_sizes_mb:
            subprocess.run(["umount", "-l", str(self.services.paths.service_dir(name))], check=False)
        shutil.rmtree(self.folder / "services", ignore_errors=True)

    def _start(self) -> None:
        self._print_progress("Starting the services ...")
        self.services.paths.create_dirs()
        port_names = (*SERVICE_NAMES, "kafka_controller")
        service_ports = ports.assign_ports(self.services.paths.ports_file, port_names)
        if self.spec.use_tcp_proxy:
            proxy_routes = {name: (free_port(), service_ports[name]) for name in SERVICE_NAMES}
            # Kafka tells its clients where to connect: that must be the proxy.
            advertised = {"kafka_advertised": proxy_routes["kafka"][0]}
            write_ports(self.services.paths.ports_file, service_ports | advertised)
            self.proxy = TcpProxyProcess(proxy_routes)
        if self.spec.tmpfs_sizes_mb:
            mount_small_disks(
                {self.services.paths.service_dir(name): size_mb for name, size_mb in self.spec.tmpfs_sizes_mb}
            )
        self._start_processes(self.services.start(), service_ports)

    def _start_processes(self, service_env: Mapping[str, str], service_ports: Mapping[str, int]) -> None:
        self.engine: Engine = create_engine(psycopg2_url(service_env["DATABASE_URL"]), pool_pre_ping=True)
        self.redis = redis.Redis.from_url(service_env["REDIS_URL"], decode_responses=True)
        self.process_env = self._build_environment(service_env, service_ports)
        migrate(self.process_env | dict(service_env))
        self.log_dir.mkdir()
        for number in (1, 2):
            self.web_processes.append(create_web_process(f"web-{number}", self.process_env, self.log_dir))
        for name in WORKER_PROCESSES:
            self.worker_processes[name] = create_worker(name, self.process_env, self.log_dir)
        self._supervisor = Supervisor(lambda: self.processes)
        for process in self.processes:
            process.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Every web process responds; every worker has written a heartbeat."""
        for web in self.web_processes:
            wait_until(
                partial(is_responding, web.port), f"first response of {web.name}", START_TIMEOUT_SECONDS
            )
        for worker in self.worker_processes.values():
            wait_until(
                partial(self._has_heartbeat, worker), f"heartbeat of {worker.name}", START_TIMEOUT_SECONDS
            )

    def _has_heartbeat(self, process: ManagedProcess) -> bool:
        return any(heartbeat.pid == str(process.pid) for heartbeat in read_heartbeats(self.redis))

    def _build_environment(
        self, service_env: Mapping[str, str], service_ports: Mapping[str, int]
    ) -> dict[str, str]:
        addresses = dict(service_env)
        if self.proxy:
            for name, setting_name in URL_SETTINGS.items():
                addresses[setting_name] = addresses[setting_name].replace(
                    f":{service_ports[name]}", f":{self.proxy.ports[name]}"
                )
        data_dir = {"DATA_DIR": str(self.services.paths.data_dir)}
        return build_environment(addresses, CLUSTER_SETTINGS | data_dir | dict(self.spec.settings))

    def require_owned_pid(self, service: str) -> int:
        """The pid of a service's main process. Raises RuntimeError unless it is in the cluster's folder."""
        if self.folder not in self.services.paths.data_dir.parents:
            raise RuntimeError(f"{self.services.paths.data_dir} is not in the folder of this cluster")
        pid = self.services.status(service)[service].pid
        if pid is None:
            raise RuntimeError(f"{service} is not running")
        return pid

    def query(self, statement: str, **params: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(text(statement), params)]
