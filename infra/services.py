"""The embedded services of one DATA_DIR. Methods take names of services; without names all of them.

services = EmbeddedServices(data_dir)
services.start()
services.kill("kafka")
services.start("kafka")
services.stop()
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal

from infra import paths, ports, processes
from infra.dynamodb import DynamoDB
from infra.errors import InfraError
from infra.kafka import Kafka
from infra.postgres import Postgres
from infra.redis import Redis
from infra.service import EmbeddedService

SERVICES: dict[str, EmbeddedService] = {
    service.name: service for service in (Postgres(), Redis(), Kafka(), DynamoDB())
}
NON_DURABLE_SERVICES: dict[str, EmbeddedService] = SERVICES | {
    "postgres": Postgres(durable=False),
    "redis": Redis(durable=False),
}
"""For tests: nothing is flushed to disk. An acknowledged write survives a killed process, not a power cut."""
SERVICE_NAMES = tuple(SERVICES)
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    state: Literal["running", "paused", "stopped"]
    pid: int | None
    port: int | None

    def to_dict(self) -> dict[str, str | int | None]:
        return asdict(self)


class EmbeddedServices:
    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        log: Callable[[str], None] = lambda message: None,
        services_by_name: Mapping[str, EmbeddedService] = SERVICES,
    ) -> None:
        """`services_by_name`: another set, such as three_broker_services() of infra/kafka_cluster.py."""
        self.paths = paths.data_dir_paths(data_dir)
        self._log = log
        self._services_by_name = services_by_name

    def start(self, *names: str) -> dict[str, str]:
        """Returns their addresses once all are ready. Running ones are left as they are."""
        selected = self._select(names)
        self.paths.create_dirs()
        with self._exclusive_lock():
            # Ports for all services at once, so that two never get the same one.
            port_by_name = ports.assign_ports(
                self.paths.ports_file,
                tuple(
                    port_name
                    for service in self._services_by_name.values()
                    for port_name in service.port_names
                ),
            )
            _run_in_parallel(lambda service: self._start_service(service, port_by_name), selected)
        return self.env(*names)

    def stop(self, *names: str) -> None:
        """Stops them gracefully; kills those that do not stop within the timeout."""

        def stop(service: EmbeddedService) -> None:
            tag = self.paths.process_tag(service.name)
            if not processes.terminate(tag, service.stop_signal, STOP_TIMEOUT_SECONDS):
                self._log(f"{service.name} did not stop in {STOP_TIMEOUT_SECONDS:.0f} s and was killed.")
            self.paths.pid_file(service.name).unlink(missing_ok=True)

        if self.paths.data_dir.is_dir():
            with self._exclusive_lock():
                _run_in_parallel(stop, self._select(names))

    def kill(self, *names: str) -> None:
        """SIGKILL, like a crash."""
        _run_in_parallel(
            lambda service: processes.kill(self.paths.process_tag(service.name)),
            self._select(names),
        )

    def pause(self, *names: str) -> None:
        _run_in_parallel(
            lambda service: processes.pause(self.paths.process_tag(service.name)),
            self._select(names),
        )

    def resume(self, *names: str) -> None:
        _run_in_parallel(
            lambda service: processes.resume(self.paths.process_tag(service.name)),
            self._select(names),
        )

    def status(self, *names: str) -> dict[str, ServiceStatus]:
        port_by_name = ports.read_ports(self.paths.ports_file)
        return {service.name: self._service_status(service, port_by_name) for service in self._select(names)}

    def env(self, *names: str) -> dict[str, str]:
        """Variables with the address of every service that was ever started in this DATA_DIR."""
        port_by_name = ports.read_ports(self.paths.ports_file)
        if not port_by_name:
            raise InfraError(
                f"Nothing was started in {self.paths.data_dir} yet; run `python -m infra start`."
            )
        variables: dict[str, str] = {}
        for service in self._select(names):
            if self.paths.service_dir(service.name).is_dir():
                variables |= service.environment_variables(self.paths, port_by_name)
        return variables

    def _start_service(self, service: EmbeddedService, port_by_name: Mapping[str, int]) -> None:
        tag = self.paths.process_tag(service.name)
        service_processes = processes.find_service_processes(tag)
        main_process = processes.find_main_process(service_processes, tag)
        if service_processes and main_process is None:
            self._log(
                f"{service.name}: killed {len(service_processes)} processes "
                "that a crashed server left running."
            )
            processes.kill(tag)
        if main_process is not None:
            processes.resume(tag)
        self._wait_ready(
            service,
            port_by_name,
            main_process.pid if main_process else self._launch(service, port_by_name),
        )

    def _launch(self, service: EmbeddedService, port_by_name: Mapping[str, int]) -> int:
        for name in service.port_names:
            # A process that was just killed may not have released its port yet.
            processes.wait_until(lambda port=port_by_name[name]: ports.is_port_free(port), 2)  # type: ignore[misc]
            hint = f"end it, or delete {self.paths.ports_file} to choose new ones"
            ports.require_port_free(port_by_name[name], service.name, hint)
        pid = processes.spawn(service.prepare_launch(self.paths, port_by_name))
        self.paths.pid_file(service.name).write_text(f"{pid}\n")
        return pid

    def _wait_ready(self, service: EmbeddedService, port_by_name: Mapping[str, int], pid: int) -> None:
        def settled() -> bool:
            # If the process ended, there is nothing to wait for.
            return service.is_ready(self.paths, port_by_name) or not processes.is_alive(pid)

        if not processes.wait_until(settled, START_TIMEOUT_SECONDS) or not processes.is_alive(pid):
            log_file = self.paths.log_file(service.name)
            reason = f"last line of {log_file}: {_last_line(log_file)}"
            raise InfraError(f"{service.name} did not start; {reason}")

    def _service_status(self, service: EmbeddedService, port_by_name: Mapping[str, int]) -> ServiceStatus:
        tag = self.paths.process_tag(service.name)
        service_processes = processes.find_service_processes(tag)
        main_process = processes.find_main_process(service_processes, tag)
        port = port_by_name.get(service.port_names[0])
        if main_process is None:
            return ServiceStatus("stopped", None, port)
        return ServiceStatus(
            "paused" if processes.is_paused(main_process) else "running", main_process.pid, port
        )

    def _select(self, names: tuple[str, ...]) -> list[EmbeddedService]:
        return [self._services_by_name[name] for name in names or self._services_by_name]

    @contextmanager
    def _exclusive_lock(self) -> Iterator[None]:
        """Serializes starts and stops in one DATA_DIR."""
        with (self.paths.data_dir / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _run_in_parallel(action: Callable[[EmbeddedService], None], services: list[EmbeddedService]) -> None:
    with ThreadPoolExecutor(len(services)) as pool:
        for future in [pool.submit(action, service) for service in services]:
            future.result()


def _last_line(log_file: os.PathLike[str]) -> str:
    with open(log_file, "rb") as file:
        lines = file.read()[-4000:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "(empty)"
