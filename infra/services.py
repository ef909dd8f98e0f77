"""Services: the embedded set of one DATA_DIR, one by one or together.

In    a DATA_DIR; names out of NAMES (none given: all)
Out   running services, their addresses, their states

    services = Services(data_dir)
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

from infra import layout, ports, processes
from infra.dynamodb import DynamoDB
from infra.kafka import Kafka
from infra.postgres import Postgres
from infra.redis import Redis
from infra.service import Service
from infra.trouble import Trouble

SERVICES: dict[str, Service] = {
    service.name: service for service in (Postgres(), Redis(), Kafka(), DynamoDB())
}
NAMES = tuple(SERVICES)
START_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Status:
    state: Literal["running", "paused", "stopped"]
    pid: int | None
    port: int | None

    def as_dict(self) -> dict[str, str | int | None]:
        return asdict(self)


class Services:
    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        say: Callable[[str], None] = lambda sentence: None,
        known: Mapping[str, Service] = SERVICES,
    ) -> None:
        """`known`: another set, such as infra/brokers.py `three_brokers()`."""
        self.layout = layout.layout(data_dir)
        self._say = say
        self._known = known

    def start(self, *names: str) -> dict[str, str]:
        """Returns the addresses once all of them answer. What runs already is left as it is."""
        chosen = self._chosen(names)
        self.layout.create()
        with self._alone():
            # All names at once, so that starting one by one never makes two share a port.
            known = ports.keep(
                self.layout.ports, tuple(p for one in self._known.values() for p in one.port_names)
            )
            _together(lambda service: self._start(service, known), chosen)
        return self.env(*names)

    def stop(self, *names: str) -> None:
        """Ends cleanly; what does not listen in time is killed."""

        def stop(service: Service) -> None:
            tag = self.layout.tag(service.name)
            if not processes.end(tag, service.stop_signal, STOP_SECONDS):
                self._say(f"{service.name} did not stop in {STOP_SECONDS:.0f} s and was killed.")
            self.layout.pid_file(service.name).unlink(missing_ok=True)

        if self.layout.data_dir.is_dir():
            with self._alone():
                _together(stop, self._chosen(names))

    def kill(self, *names: str) -> None:
        """SIGKILL, no goodbye: what a power cut does to the process."""
        _together(lambda one: processes.destroy(self.layout.tag(one.name)), self._chosen(names))

    def pause(self, *names: str) -> None:
        _together(lambda one: processes.freeze(self.layout.tag(one.name)), self._chosen(names))

    def resume(self, *names: str) -> None:
        _together(lambda one: processes.thaw(self.layout.tag(one.name)), self._chosen(names))

    def status(self, *names: str) -> dict[str, Status]:
        known = ports.kept(self.layout.ports)
        return {one.name: self._status(one, known) for one in self._chosen(names)}

    def env(self, *names: str) -> dict[str, str]:
        """NAME -> value for every service that was ever started here, even while it is down."""
        known = ports.kept(self.layout.ports)
        if not known:
            raise Trouble(
                f"Nothing was started in {self.layout.data_dir} yet; run `python -m infra start`."
            )
        found: dict[str, str] = {}
        for service in self._chosen(names):
            if self.layout.folder(service.name).is_dir():
                found |= service.settings(self.layout, known)
        return found

    def _start(self, service: Service, known: Mapping[str, int]) -> None:
        tag = self.layout.tag(service.name)
        found = processes.members(tag)
        chief = processes.main(found, tag)
        if found and chief is None:
            self._say(
                f"{service.name}: ended {len(found)} processes that a killed one left behind."
            )
            processes.destroy(tag)
        if chief is not None:
            processes.thaw(tag)
        self._await(service, known, chief.pid if chief else self._launch(service, known))

    def _launch(self, service: Service, known: Mapping[str, int]) -> int:
        for name in service.port_names:
            # One that was killed by others a moment ago may not have let go yet.
            processes.until(lambda port=known[name]: ports.is_free(port), 2)  # type: ignore[misc]
            remedy = f"end it, or delete {self.layout.ports} to choose new ones"
            ports.require_free(known[name], service.name, remedy)
        pid = processes.spawn(service.prepare(self.layout, known))
        self.layout.pid_file(service.name).write_text(f"{pid}\n")
        return pid

    def _await(self, service: Service, known: Mapping[str, int], pid: int) -> None:
        def settled() -> bool:
            # Gone is an answer too: there is nothing to wait for.
            return service.answers(self.layout, known) or not processes.is_alive(pid)

        if not processes.until(settled, START_SECONDS) or not processes.is_alive(pid):
            log = self.layout.log(service.name)
            why = f"the end of {log} says why: {_tail(log)}"
            raise Trouble(f"{service.name} did not come up; {why}")

    def _status(self, service: Service, known: Mapping[str, int]) -> Status:
        tag = self.layout.tag(service.name)
        found = processes.members(tag)
        chief = processes.main(found, tag)
        port = known.get(service.port_names[0])
        if chief is None:
            return Status("stopped", None, port)
        return Status("paused" if processes.is_stopped(chief) else "running", chief.pid, port)

    def _chosen(self, names: tuple[str, ...]) -> list[Service]:
        return [self._known[name] for name in names or self._known]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two starts of one DATA_DIR at once: the second waits and finds the services there."""
        with (self.layout.data_dir / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _together(act: Callable[[Service], None], services: list[Service]) -> None:
    with ThreadPoolExecutor(len(services)) as pool:
        for done in [pool.submit(act, service) for service in services]:
            done.result()


def _tail(log: os.PathLike[str]) -> str:
    with open(log, "rb") as file:
        lines = file.read()[-4000:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "(empty)"
