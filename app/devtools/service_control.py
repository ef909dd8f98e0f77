"""Service control: stops, kills, pauses and starts the embedded services, in testing mode only.

Used by blueprints/testing/service_control.py. Runs `python -m infra COMMAND SERVICE`, one command at a time
per service, with a timeout. Only services whose address equals that of `python -m infra env` for this
DATA_DIR: others do not belong to this installation.
"""

import json
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import gevent
from gevent import subprocess

from app.domain.errors import Unavailable, define_rejection

log = logging.getLogger(__name__)
PROJECT_ROOT = Path(__file__).resolve().parents[2]
STATUS_TIMEOUT_SECONDS = 10.0
STATUS_WAIT_SECONDS = 1.5
COMMAND_TIMEOUT_SECONDS = 90.0
"""`start` waits up to a minute for a service, `stop` 15 s."""
STATUS_REFRESH_SECONDS, STATUS_MAX_AGE_SECONDS = 2.0, 10.0
"""When states are read again, and how old they may be while that takes long."""
URL_VARIABLES = {
    "redis": "REDIS_URL",
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "postgres": "DATABASE_URL",
    "dynamodb": "DYNAMODB_ENDPOINT_URL",
}
_INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "USER")
NOT_EMBEDDED = define_rejection("This service is not an embedded one", "not_embedded", 404)
COMMAND_RUNNING = define_rejection("The last command for this service is still running", "busy", 409)


class ServiceCommand(StrEnum):
    START = "start"
    STOP = "stop"
    KILL = "kill"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class EmbeddedServiceState:
    """State of a service, the running command, and the error of the last one."""

    state: str
    port: int | None
    command: str | None
    last_error: str | None

    def to_dict(self) -> dict[str, object]:
        return {
            "state": self.state,
            "port": self.port,
            "command": self.command,
            "lastError": self.last_error,
        }


class EmbeddedServiceControl:
    def __init__(self, data_dir: Path, urls_by_variable: Mapping[str, str]) -> None:
        self._data_dir = data_dir.resolve()
        self._urls_by_variable = urls_by_variable
        self._embedded_services: frozenset[str] | None = None
        self._running_commands: dict[str, ServiceCommand] = {}
        self._last_errors: dict[str, str] = {}
        self._status_greenlet = gevent.spawn(lambda: None)
        self._status: dict[str, dict[str, object]] = {}
        self._status_read_at = -math.inf
        self._is_status_outdated = False

    def embedded_service_states(self) -> dict[str, EmbeddedServiceState]:
        """Embedded services by name; empty if there are none. Raises Unavailable."""
        embedded = self._find_embedded_services_in_use()
        status = self._get_recent_status() if embedded else {}
        return {name: self._build_state(name, status[name]) for name in URL_VARIABLES if name in embedded}

    def start_command(self, name: str, command: ServiceCommand) -> None:
        """Starts the command without waiting: starting Kafka takes longer than a request may. Raises
        Rejected (404, 409)."""
        if name not in self._find_embedded_services_in_use():
            raise NOT_EMBEDDED
        if self._running_commands.get(name) == command:
            return
        if name in self._running_commands:
            raise COMMAND_RUNNING
        self._running_commands[name] = command
        self._last_errors.pop(name, None)
        gevent.spawn(self._run_command, name, command)

    def _run_command(self, name: str, command: ServiceCommand) -> None:
        try:
            self._run_infra(COMMAND_TIMEOUT_SECONDS, command.value, name)
        except Unavailable as exc:
            log.warning(
                "%s %s failed: %s", command.value, name, exc, extra={"event": "service_command_failed"}
            )
            self._last_errors[name] = str(exc)
        finally:
            del self._running_commands[name]
            self._is_status_outdated = True

    def _build_state(self, name: str, service_status: Mapping[str, object]) -> EmbeddedServiceState:
        port = service_status["port"]
        return EmbeddedServiceState(
            state=str(service_status["state"]),
            port=port if isinstance(port, int) else None,
            command=self._running_commands.get(name),
            last_error=self._last_errors.get(name),
        )

    def _get_recent_status(self) -> dict[str, dict[str, object]]:
        """Shared by all requests within two seconds, because it starts an interpreter. While that takes
        long, returns the last state. Raises Unavailable when that is too old."""
        age_seconds = time.monotonic() - self._status_read_at
        if self._status_greenlet.ready() and (
            self._is_status_outdated or age_seconds >= STATUS_REFRESH_SECONDS
        ):
            self._is_status_outdated = False
            self._status_greenlet = gevent.spawn(self._refresh_status)
        self._status_greenlet.join(
            STATUS_WAIT_SECONDS if age_seconds < STATUS_MAX_AGE_SECONDS else STATUS_TIMEOUT_SECONDS
        )
        if time.monotonic() - self._status_read_at >= STATUS_MAX_AGE_SECONDS:
            raise Unavailable("The state of the services could not be read", "infra_slow")
        return self._status

    def _refresh_status(self) -> None:
        try:
            self._status = json.loads(self._run_infra(STATUS_TIMEOUT_SECONDS, "status", "--json"))
            self._status_read_at = time.monotonic()
        except Unavailable as exc:
            log.warning("Service states were not read: %s", exc, extra={"event": "service_status_failed"})

    def _find_embedded_services_in_use(self) -> frozenset[str]:
        """Services whose address in use is that of the one in DATA_DIR. Read once."""
        if self._embedded_services is None:
            try:
                output = self._run_infra(STATUS_TIMEOUT_SECONDS, "env")
            except Unavailable:
                return frozenset()  # nothing was ever started here
            embedded_urls = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
            self._embedded_services = frozenset(
                name
                for name, variable in URL_VARIABLES.items()
                if self._urls_by_variable.get(variable)
                and embedded_urls.get(variable) == self._urls_by_variable[variable]
            )
        return self._embedded_services

    def infra_command_environment(self) -> dict[str, str]:
        """Only what a command needs: no secrets, and no marker of this run, which would end the service
        together with it."""
        inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        return inherited | {"DATA_DIR": str(self._data_dir), "ENV_FILE": os.devnull}

    def _run_infra(self, timeout_seconds: float, *arguments: str) -> str:
        """Returns its output. Raises Unavailable with its error message."""
        command = [sys.executable, "-m", "infra", *arguments]
        try:
            completed = subprocess.run(
                command,
                cwd=PROJECT_ROOT,
                env=self.infra_command_environment(),
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise Unavailable(f"`infra {arguments[0]}` did not end in time", "infra_slow") from exc
        if completed.returncode != 0:
            error_line = (completed.stderr.strip().splitlines() or ["no error message"])[-1]
            raise Unavailable(f"`infra {' '.join(arguments)}` failed: {error_line[:300]}", "infra_failed")
        return str(completed.stdout)
