"""Run: the whole system in one terminal, until Ctrl-C.

In    Procfile, settings, the embedded services
Out   every process of the Procfile under honcho; at the end none of them
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from types import FrameType

from infra import fetch, leftovers, ports, surroundings
from infra.layout import ROOT, Layout
from infra.services import Services
from infra.trouble import Trouble

HONCHO_SECONDS = 9.0  # honcho kills what is left after 5
IMPATIENT_SECONDS = 45.0  # then the address is printed although something does not answer
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEFAULTS = {"APP_MODE": "testing", "HOST": "127.0.0.1", "PORT": "8000"}


class Stopped(Exception):
    """Ctrl-C, SIGTERM or a closed terminal."""


def run() -> int:
    for name, value in DEFAULTS.items():
        if not os.environ.get(name):
            os.environ[name] = value
    services = Services(say=_say)
    services.layout.create()
    try:
        with _stoppable(), leftovers.only_run(services.layout), _services(services):
            return _serve(services)
    except Stopped:
        _say("Stopped; nothing is left running.")
        return 0


def migrate(services: Services) -> None:
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    environment = surroundings.environment(services)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise Trouble("The migration failed for the reason above; the data is as it was before.")


@contextmanager
def _stoppable() -> Iterator[None]:
    """The first signal raises Stopped; later ones find the clean-up under way, and wait."""
    heard: list[int] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        heard.append(signum)
        if len(heard) == 1:
            raise Stopped
        _say("Stopping already; this takes some seconds.")

    for signum in SIGNALS:
        signal.signal(signum, stop)
    yield


@contextmanager
def _services(services: Services) -> Iterator[None]:
    """Starts what is embedded and not there yet, and stops exactly that."""
    place = services.layout
    if ended := leftovers.end(place):
        _say(f"A run was killed here: ended {ended} processes that it left behind.")
    ports.require_free(port(), "the web process", _remedy(), os.environ["HOST"])
    wanted = surroundings.embedded()
    found = services.status(*wanted) if wanted else {}
    ours = tuple(n for n in found if found[n].state == "stopped" or n in leftovers.claimed(place))
    leftovers.claim(place, ours)
    try:
        if wanted:
            fetch.setup()
            _say(f"Starting {', '.join(wanted)} ...")
            services.start(*wanted)
        yield
    finally:
        if ours:
            _say(f"Stopping {', '.join(ours)} ...")
            services.stop(*ours)
        leftovers.claim(place, ())


def _serve(services: Services) -> int:
    migrate(services)
    environment = surroundings.environment(services)
    environment[leftovers.MARK] = str(services.layout.data_dir)
    # honcho would let .env override the environment; both are merged already. Its numbering of
    # ports starts with the first line, which is the web.
    command = [sys.executable, "-m", "honcho", "start", "-e", "", "-p", str(port())]
    honcho = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        _announce(honcho)
        code = honcho.wait()
        _say("A process ended by itself, so the others were stopped; its last lines above say why.")
        return code or 1
    finally:
        _end(honcho, services.layout)


def _announce(honcho: subprocess.Popen[bytes]) -> None:
    """Says where to point the browser once the web process answers."""
    began = time.monotonic()
    while honcho.poll() is None:
        patient = time.monotonic() - began < IMPATIENT_SECONDS
        if _answers("/ready") or (not patient and _answers("/health")):
            _say(f"\n  Ready: {_address()}   (Ctrl-C stops everything)\n")
            return
        time.sleep(0.2)


def _answers(path: str) -> bool:
    host = "127.0.0.1" if os.environ["HOST"] in ("0.0.0.0", "::") else os.environ["HOST"]  # noqa: S104
    connection = HTTPConnection(host, port(), timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _end(honcho: subprocess.Popen[bytes], place: Layout) -> None:
    if honcho.poll() is None:
        honcho.terminate()
        try:
            honcho.wait(HONCHO_SECONDS)
        except subprocess.TimeoutExpired:
            honcho.kill()
            honcho.wait()
    leftovers.end(place, grace_seconds=1)  # what left honcho's sight


def _address() -> str:
    host = os.environ["HOST"]
    return f"http://[{host}]:{port()}" if ":" in host else f"http://{host}:{port()}"


def port() -> int:
    text = os.environ["PORT"]
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Trouble(f"PORT is {text!r}; a number from 1 to 65535 is expected.")
    return int(text)


def _remedy() -> str:
    return f"end it, or choose another with `make run PORT={port() + 1}`"


def _say(sentence: str) -> None:
    print(sentence, flush=True)
