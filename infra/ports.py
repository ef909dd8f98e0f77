"""Ports: chosen free once per DATA_DIR, written down and kept across kill and start.

In    DATA_DIR/ports.json
Out   a port per name; a sentence when a kept port has become another program's
"""

import errno
import json
import random
import socket
from pathlib import Path

from infra.trouble import Trouble

# Below the range from which the system draws the ports of outgoing connections, so that a port
# is still ours after a stop of hours.
RANGE = range(20_000, 32_000)
HOST = "127.0.0.1"


def kept(path: Path) -> dict[str, int]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except ValueError as fault:
        raise Trouble(f"{path} is damaged; delete it and start again.") from fault


def keep(path: Path, names: tuple[str, ...]) -> dict[str, int]:
    """The port of each name; new names get a free one."""
    ports = kept(path)
    missing = [name for name in names if name not in ports]
    for name in missing:
        ports[name] = _free(set(ports.values()))
    if missing:
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(ports, indent=1, sort_keys=True) + "\n")
        partial.replace(path)
    return ports


def is_free(port: int, host: str = HOST) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections in TIME_WAIT do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                return False
            reason = fault.strerror or str(fault)
            raise Trouble(f"No program can listen on {host}:{port}: {reason}.") from fault
    return True


def require_free(port: int, owner: str, remedy: str, host: str = HOST) -> None:
    if not is_free(port, host):
        raise Trouble(f"Port {port} of {owner} is taken by another program; {remedy}.")


def _free(taken: set[int]) -> int:
    # Two DATA_DIRs that start in the same second must not agree on the first free port.
    candidates = random.sample(RANGE, k=200)
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    raise Trouble(
        f"No free port between {RANGE.start} and {RANGE.stop} on {HOST}; end some programs."
    )
