"""The HTTP load: keep-alive connections that each send a request when the previous one is answered.

Runs in a process of its own, which is not monkey-patched: raw sockets, prepared requests, one epoll. It
spends about 15 us per request, a tenth of what the servers spend, so that it is not the bottleneck.
Commands on stdin and responses on stdout, one JSON object a line: {workload, requests_path} or
{workload, port, seconds, min_requests}.
"""

import json
import select
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from harness.helper_process import HelperProcess, send_response

RESPONSE_TIMEOUT_SECONDS = 10.0


@dataclass(slots=True)
class LoadConnection:
    """A connection and the requests that it repeats in a cycle."""

    request_cycle: "cycle[bytes]"
    sock: socket.socket
    sent_at: float = 0.0
    response: bytes = b""
    sent_count: int = 0


class LoadClient:
    """Starts this module as a process and sends it commands."""

    def __init__(self) -> None:
        self._subprocess = HelperProcess("bench.load")

    def close(self) -> None:
        self._subprocess.close()

    def prepare(self, workload: str, requests_by_connection: Sequence[Sequence[bytes]]) -> None:
        """One list of requests per connection; each is repeated in a cycle."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(
                [[raw_request.decode() for raw_request in requests] for requests in requests_by_connection],
                file,
            )
            file.flush()
            self._subprocess.request({"workload": workload, "requests_path": file.name})

    def run(self, workload: str, port: int, seconds: float, min_requests: int = 0) -> dict[str, Any]:
        """Runs at least `min_requests` per connection, however long they take.

        Raises RuntimeError if any status is not 200, since an error response is faster than a like.
        """
        result = self._subprocess.request(
            {"workload": workload, "port": port, "seconds": seconds, "min_requests": min_requests}
        )
        if result["failed"]:
            raise RuntimeError(f"{result['failed']} responses were not 200, e.g. {result['example']}")
        return result


def build_request(method: str, path: str, token: str) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def run_load(
    request_cycles: "list[cycle[bytes]]", port: int, seconds: float, min_requests: int = 0
) -> dict[str, Any]:
    """Connects, sends one request per connection to warm up, then requests for `seconds`."""
    epoll = select.epoll()
    connections = {}
    try:
        for request_cycle in request_cycles:
            sock = socket.create_connection(("127.0.0.1", port), RESPONSE_TIMEOUT_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections[sock.fileno()] = LoadConnection(request_cycle, sock)
            epoll.register(sock, select.EPOLLIN)
        warm_up_result = _drive_connections(epoll, connections, 0.0)
        result = _drive_connections(epoll, connections, seconds, min_requests)
        return result | {"served": warm_up_result["served"] + result["served"]}
    finally:
        epoll.close()
        for connection in connections.values():
            connection.sock.close()


def _drive_connections(
    epoll: "select.epoll",
    connections: dict[int, LoadConnection],
    seconds: float,
    min_requests: int = 0,
) -> dict[str, Any]:
    """Counts responses that arrived within the time, and waits for those still in flight."""
    latencies: list[float] = []
    response_count, failure_count, failure_example, active_count = 0, 0, "", len(connections)
    started_at = time.perf_counter()
    deadline = started_at + seconds
    for connection in connections.values():
        _send_next_request(connection)
    while active_count:
        ready_events = epoll.poll(RESPONSE_TIMEOUT_SECONDS)
        if not ready_events:
            raise RuntimeError("the server stopped responding")
        for fd, _ in ready_events:
            connection = connections[fd]
            if not _read_response(connection):
                continue
            now = time.perf_counter()
            if connection.response[9:12] != b"200":
                failure_count, failure_example = (
                    failure_count + 1,
                    connection.response.decode(errors="replace"),
                )
            connection.response = b""
            response_count += 1
            if now < deadline or connection.sent_count <= min_requests:
                latencies.append((now - connection.sent_at) * 1000)
                _send_next_request(connection)
            else:
                active_count -= 1
    return {
        "completed": len(latencies),
        "seconds": seconds,
        # All that the server spent CPU time on, including responses after the end.
        "served": response_count,
        "failed": failure_count,
        "example": failure_example[:300],
        "latencies_ms": latencies,
    }


def _send_next_request(connection: LoadConnection) -> None:
    connection.sent_at = time.perf_counter()
    connection.sent_count += 1
    connection.sock.send(next(connection.request_cycle))


def _read_response(connection: LoadConnection) -> bool:
    """Reads available data. True once the response is complete."""
    chunk = connection.sock.recv(65_536)
    if not chunk:
        raise RuntimeError("the server closed a connection")
    connection.response += chunk
    head, separator, body = connection.response.partition(b"\r\n\r\n")
    if not separator:
        return False
    header_index = head.lower().find(b"content-length:")
    if header_index < 0:
        raise RuntimeError("response without Content-Length")
    return len(body) >= int(head[header_index + 15 :].split(b"\r", 1)[0])


def main() -> None:
    cycles_by_workload: dict[str, list[cycle[bytes]]] = {}
    for line in sys.stdin:
        command = json.loads(line)
        result: dict[str, Any] = {}
        if "requests_path" in command:
            requests_by_connection = json.loads(Path(command["requests_path"]).read_text())
            # The cycles continue over several runs: a PUT at the end of one is followed by its DELETE.
            cycles_by_workload[command["workload"]] = [
                cycle([raw_request.encode() for raw_request in requests])
                for requests in requests_by_connection
            ]
        else:
            request_cycles = cycles_by_workload[command["workload"]]
            result = run_load(request_cycles, command["port"], command["seconds"], command["min_requests"])
        send_response(result)


if __name__ == "__main__":
    main()
