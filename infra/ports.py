"""Ports of the services: free ones are chosen once per DATA_DIR and stored in DATA_DIR/ports.json."""

import errno
import json
import random
import socket
from pathlib import Path

from infra.errors import InfraError

# Below the system's range of ephemeral ports, so that a port is still free after the services were stopped.
PORT_RANGE = range(20_000, 32_000)
HOST = "127.0.0.1"


def read_ports(path: Path) -> dict[str, int]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        raise InfraError(f"{path} is damaged; delete it and start again.") from exc


def assign_ports(path: Path, port_names: tuple[str, ...]) -> dict[str, int]:
    """Stored ports; names without one get a free port."""
    port_by_name = read_ports(path)
    missing = [name for name in port_names if name not in port_by_name]
    for name in missing:
        port_by_name[name] = _choose_free_port(set(port_by_name.values()))
    if missing:
        partial_path = path.with_suffix(".part")
        partial_path.write_text(json.dumps(port_by_name, indent=1, sort_keys=True) + "\n")
        partial_path.replace(path)
    return port_by_name


def is_port_free(port: int, host: str = HOST) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections in TIME_WAIT do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return False
            reason = exc.strerror or str(exc)
            raise InfraError(f"Cannot listen on {host}:{port}: {reason}.") from exc
    return True


def require_port_free(port: int, used_by: str, hint: str, host: str = HOST) -> None:
    if not is_port_free(port, host):
        raise InfraError(f"Port {port} of {used_by} is taken by another program; {hint}.")


def _choose_free_port(taken_ports: set[int]) -> int:
    # Random, so that two DATA_DIRs that start at the same time do not choose the same port.
    candidates = random.sample(PORT_RANGE, k=200)
    for port in candidates:
        if port not in taken_ports and is_port_free(port):
            return port
    raise InfraError(
        f"No free port between {PORT_RANGE.start} and {PORT_RANGE.stop} on {HOST}; end some programs."
    )
