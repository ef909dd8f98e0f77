"""The load: keep-alive connections that each send the next request when the last was answered.

In    orders on stdin, one JSON object a line: {name, requests: path} or {name, port, seconds}
Out   one JSON object a line: what was answered, how fast

A process of its own without the patch: raw sockets, prepared bytes, one epoll. It spends some 15 us
on a request, a tenth of what any of the servers spends, so it is not what is measured.
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

from bench.child import Child, answer

PATIENCE_SECONDS = 10.0


@dataclass(slots=True)
class Lane:
    """One connection and the requests that go over it, round and round."""

    requests: "cycle[bytes]"
    link: socket.socket
    sent_at: float = 0.0
    answer: bytes = b""
    sent: int = 0


class Client:
    """The parent's hand on the load process."""

    def __init__(self) -> None:
        self._child = Child("bench.load")

    def close(self) -> None:
        self._child.close()

    def prepare(self, name: str, lanes: Sequence[Sequence[bytes]]) -> None:
        """One list of requests per connection; they go round."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump([[one.decode() for one in lane] for lane in lanes], file)
            file.flush()
            self._child.ask({"name": name, "requests": file.name})

    def run(self, name: str, port: int, seconds: float, least: int = 0) -> dict[str, Any]:
        """`least`: so many requests per connection however long they take. Raises RuntimeError when
        a single answer was not 200: a refusal is faster than a like."""
        told = self._child.ask({"name": name, "port": port, "seconds": seconds, "least": least})
        if told["refused"]:
            raise RuntimeError(f"{told['refused']} answers were no 200, e.g. {told['example']}")
        return told


def request(verb: str, path: str, token: str) -> bytes:
    return (
        f"{verb} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def measure(
    lanes: "list[cycle[bytes]]", port: int, seconds: float, least: int = 0
) -> dict[str, Any]:
    """Connects, one request each to warm up, then as many as go in the time."""
    poll = select.epoll()
    open_lanes = {}
    try:
        for requests in lanes:
            link = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            open_lanes[link.fileno()] = Lane(requests, link)
            poll.register(link, select.EPOLLIN)
        warm = _drive(poll, open_lanes, 0.0)
        told = _drive(poll, open_lanes, seconds, least)
        return told | {"served": warm["served"] + told["served"]}
    finally:
        poll.close()
        for lane in open_lanes.values():
            lane.link.close()


def _drive(
    poll: "select.epoll", lanes: dict[int, Lane], seconds: float, least: int = 0
) -> dict[str, Any]:
    """What was answered within the time counts; what was still under way is only waited for."""
    latencies: list[float] = []
    served, refused, example, waiting = 0, 0, "", len(lanes)
    began = time.perf_counter()
    until = began + seconds
    for lane in lanes.values():
        _send(lane)
    while waiting:
        ready = poll.poll(PATIENCE_SECONDS)
        if not ready:
            raise RuntimeError("the server stopped answering")
        for number, _ in ready:
            lane = lanes[number]
            if not _answered(lane):
                continue
            now = time.perf_counter()
            if lane.answer[9:12] != b"200":
                refused, example = refused + 1, lane.answer.decode(errors="replace")
            lane.answer = b""
            served += 1
            if now < until or lane.sent <= least:
                latencies.append((now - lane.sent_at) * 1000)
                _send(lane)
            else:
                waiting -= 1
    return {
        "done": len(latencies),
        "seconds": seconds,
        # What the server's CPU was spent on: also what came after the end.
        "served": served,
        "refused": refused,
        "example": example[:300],
        "latencies_ms": latencies,
    }


def _send(lane: Lane) -> None:
    lane.sent_at = time.perf_counter()
    lane.sent += 1
    lane.link.send(next(lane.requests))


def _answered(lane: Lane) -> bool:
    """Reads what is there; true once the whole answer is."""
    piece = lane.link.recv(65_536)
    if not piece:
        raise RuntimeError("the server closed a connection")
    lane.answer += piece
    head, mark, body = lane.answer.partition(b"\r\n\r\n")
    if not mark:
        return False
    at = head.lower().find(b"content-length:")
    if at < 0:
        raise RuntimeError("an answer without a Content-Length")
    return len(body) >= int(head[at + 15 :].split(b"\r", 1)[0])


def main() -> None:
    prepared: dict[str, list[cycle[bytes]]] = {}
    for line in sys.stdin:
        order = json.loads(line)
        told: dict[str, Any] = {}
        if "requests" in order:
            lanes = json.loads(Path(order["requests"]).read_text())
            # Kept from slice to slice: a PUT that ended one is followed by its DELETE in the next.
            prepared[order["name"]] = [cycle([one.encode() for one in lane]) for lane in lanes]
        else:
            lanes_of = prepared[order["name"]]
            told = measure(lanes_of, order["port"], order["seconds"], order["least"])
        answer(told)


if __name__ == "__main__":
    main()
