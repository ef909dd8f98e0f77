"""`make run`: starts the embedded services and the processes of the Procfile, under honcho, until Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType

from infra import downloads, environment, orphan_cleanup, ports
from infra.errors import InfraError
from infra.paths import PROJECT_ROOT, DataDirPaths
from infra.services import EmbeddedServices

HONCHO_STOP_TIMEOUT_SECONDS = 9.0  # honcho kills processes after 5
READY_TIMEOUT_SECONDS = 45.0  # then the URL is printed although /ready fails
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEFAULT_SETTINGS = {"APP_MODE": "testing", "HOST": "127.0.0.1", "PORT": "8000", "LOG_FORMAT": "text"}


class StopRequested(Exception):
    """Ctrl-C, SIGTERM or a closed terminal."""


def run() -> int:
    for name, value in DEFAULT_SETTINGS.items():
        if not os.environ.get(name):
            os.environ[name] = value
    services = EmbeddedServices(log=_print_message)
    services.paths.create_dirs()
    try:
        with (
            _raise_on_stop_signal(),
            orphan_cleanup.single_run_lock(services.paths),
            _services_running(services),
        ):
            return _run_procfile(services)
    except StopRequested:
        _print_message("Stopped; nothing is left running.")
        return 0


def migrate(services: EmbeddedServices) -> None:
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    env = environment.command_environment(services)
    result = subprocess.run(command, cwd=PROJECT_ROOT, env=env, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.stderr.write(result.stdout + result.stderr)
        raise InfraError("The migration failed for the reason above; the data is unchanged.")


@contextmanager
def _raise_on_stop_signal() -> Iterator[None]:
    """The first signal raises StopRequested; later ones only print that the clean-up is running."""
    received_signals: list[int] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        received_signals.append(signum)
        if len(received_signals) == 1:
            raise StopRequested
        _print_message("Already stopping; this takes a few seconds.")

    for signum in STOP_SIGNALS:
        signal.signal(signum, stop)
    yield


@contextmanager
def _services_running(services: EmbeddedServices) -> Iterator[None]:
    """Starts the embedded services that are not running, and stops those at the end."""
    paths = services.paths
    if ended_count := orphan_cleanup.terminate_run_processes(paths):
        _print_message(f"The last run was killed: terminated {ended_count} processes that it left running.")
    ports.require_port_free(web_port(), "the web process", _port_taken_hint(), os.environ["HOST"])
    embedded_names = environment.embedded_service_names()
    statuses = services.status(*embedded_names) if embedded_names else {}
    started_names = tuple(
        n
        for n in statuses
        if statuses[n].state == "stopped" or n in orphan_cleanup.read_started_services(paths)
    )
    orphan_cleanup.write_started_services(paths, started_names)
    try:
        if embedded_names:
            downloads.fetch_missing_files()
            _print_message(f"Starting {', '.join(embedded_names)} ...")
            services.start(*embedded_names)
        yield
    finally:
        if started_names:
            _print_message(f"Stopping {', '.join(started_names)} ...")
            services.stop(*started_names)
        orphan_cleanup.write_started_services(paths, ())


def _run_procfile(services: EmbeddedServices) -> int:
    migrate(services)
    env = environment.command_environment(services)
    env[orphan_cleanup.RUN_DATA_DIR_VARIABLE] = str(services.paths.data_dir)
    # `-e ""`: honcho would let .env override the environment; both are merged already. `-p` is the port
    # of the first line of the Procfile, which is the web process.
    command = [sys.executable, "-m", "honcho", "start", "-e", "", "-p", str(web_port())]
    command += ["-f", str(write_procfile(services.paths))]
    honcho = subprocess.Popen(command, cwd=PROJECT_ROOT, env=env, start_new_session=True)
    try:
        _print_url_when_ready(honcho)
        exit_code = honcho.wait()
        _print_message("A process ended, so the others were stopped. See its last log lines above.")
        return exit_code or 1
    finally:
        _stop_honcho(honcho, services.paths)


def write_procfile(paths: DataDirPaths) -> Path:
    """The Procfile for this run, in which a worker that was killed starts again, as it does under a service
    manager: the storm page kills workers. A worker that ends by itself still ends the run."""
    lines = []
    for line in (PROJECT_ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(": ")
        lines.append(line if name == "web" else f"{name}: {restart_when_killed(command)}")
    path = paths.data_dir / "Procfile"
    path.write_text("\n".join(lines) + "\n")
    return path


def restart_when_killed(command: str) -> str:
    """A command line for the shell. It ends with the exit code of the command, unless that was SIGKILL."""
    return f"while :; do {command}; code=$?; [ $code -eq 137 ] || exit $code; sleep 1; done"


def _print_url_when_ready(honcho: subprocess.Popen[bytes]) -> None:
    """Prints the URL once the web process is ready."""
    started_at = time.monotonic()
    while honcho.poll() is None:
        within_timeout = time.monotonic() - started_at < READY_TIMEOUT_SECONDS
        if _responds_ok("/ready") or (not within_timeout and _responds_ok("/health")):
            _print_message(f"\n  Ready: {_web_url()}   (Ctrl-C stops everything)\n")
            return
        time.sleep(0.2)


def _responds_ok(path: str) -> bool:
    host = "127.0.0.1" if os.environ["HOST"] in ("0.0.0.0", "::") else os.environ["HOST"]  # noqa: S104
    connection = HTTPConnection(host, web_port(), timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop_honcho(honcho: subprocess.Popen[bytes], paths: DataDirPaths) -> None:
    if honcho.poll() is None:
        honcho.terminate()
        try:
            honcho.wait(HONCHO_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            honcho.kill()
            honcho.wait()
    orphan_cleanup.terminate_run_processes(paths, timeout_seconds=1)  # processes that honcho did not stop


def _web_url() -> str:
    host = os.environ["HOST"]
    return f"http://[{host}]:{web_port()}" if ":" in host else f"http://{host}:{web_port()}"


def web_port() -> int:
    text = os.environ["PORT"]
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise InfraError(f"PORT is {text!r}; a number from 1 to 65535 is expected.")
    return int(text)


def _port_taken_hint() -> str:
    return f"end it, or choose another with `make run PORT={web_port() + 1}`"


def _print_message(message: str) -> None:
    print(message, flush=True)
