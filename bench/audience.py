"""An audience: thousands of sockets in one process of its own, which note when they hear something.

In    orders on stdin, one JSON object a line: {port, people: path} once, then {frames, patience}
Out   one JSON object a line: how many frames came, how late each was

Raw sockets and one epoll, as in load.py. Who speaks puts `sentAt`, its clock in ms, into the frame.
"""

import json
import re
import select
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child, answer

EVENT = "heard"
CHANNEL = "bench"
"""Where the bare python-socketio listens; ours has a channel of its own."""
CONNECT_SECONDS = 30.0
_SENT_AT = re.compile(rb'"sentAt":\s*([0-9.]+)')
_HELLO = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Audience:
    """The parent's hand on the process."""

    def __init__(self, port: int, people: Sequence[tuple[str, str]]) -> None:
        """One socket for each (user id, credential); back when all are in."""
        self._child = Child("bench.audience")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(people, file)
            file.flush()
            self._child.ask({"port": port, "people": file.name})

    def close(self) -> None:
        self._child.close()

    def hears(self, frames: int, patience: float) -> list[float]:
        """How many ms after they were sent so many frames came. Raises RuntimeError when they did
        not: lost frames are quickly delivered."""
        late = list(self._child.ask({"frames": frames, "patience": patience})["late_ms"])
        if len(late) != frames:
            raise RuntimeError(f"{len(late)} of {frames} frames came within {patience:.0f} s")
        return late


@dataclass(slots=True)
class Ear:
    link: socket.socket
    waiting: bytes = b""

    def frames(self) -> Iterator[bytes]:
        """The payloads that are complete. Raises RuntimeError when the server hung up."""
        piece = self.link.recv(65_536)
        if not piece:
            raise RuntimeError("the server closed a socket")
        self.waiting += piece
        while (found := unframed(self.waiting)) is not None:
            payload, self.waiting = found
            yield payload

    def say(self, text: str) -> None:
        self.link.sendall(framed(text.encode()))


def framed(payload: bytes) -> bytes:
    """A text frame as a client must send it: masked, here by nothing (RFC 6455, 5.2 and 5.3)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + bytes(4) + payload
    return bytes((0x81, 0x80 | 126)) + struct.pack(">H", size) + bytes(4) + payload


def unframed(raw: bytes) -> tuple[bytes, bytes] | None:
    """The first frame's payload and what follows it; None while it is not complete."""
    if len(raw) < 2:
        return None
    size, begin = raw[1] & 0x7F, 2
    if size == 126:
        size, begin = int.from_bytes(raw[2:4], "big"), 4
    elif size == 127:
        size, begin = int.from_bytes(raw[2:10], "big"), 10
    return (raw[begin : begin + size], raw[begin + size :]) if len(raw) >= begin + size else None


def entered(port: int, user_id: str, credential: str) -> Ear:
    """A socket that is let in and has asked for its room."""
    link = socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(_HELLO % port)
    said = b""
    while b"\r\n\r\n" not in said:
        said += link.recv(65_536) or _hung_up()
    ear = Ear(link, said.partition(b"\r\n\r\n")[2])
    if not said.startswith(b"HTTP/1.1 101"):
        raise RuntimeError(f"no socket: {said[:200]!r}")
    ear.say("40" + json.dumps({"token": credential}))
    _await(ear, b"40")
    ear.say("42" + json.dumps(["join_room", {"userId": user_id}]))
    _await(ear, b'42["joined"')
    return ear


def _await(ear: Ear, start: bytes) -> None:
    found = False
    while not found:
        for frame in ear.frames():
            found = found or frame.startswith(start)


def _hung_up() -> bytes:
    raise RuntimeError("the server closed a socket")


def main() -> None:
    """Answers pings between the orders too: others have their turns meanwhile."""
    first = json.loads(sys.stdin.readline())
    people = json.loads(Path(first["people"]).read_text())
    ears = [entered(first["port"], *one) for one in people]
    answer({"connected": len(ears)})
    poll = select.epoll()
    poll.register(0, select.EPOLLIN)
    by_number = {ear.link.fileno(): ear for ear in ears}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    late: list[float] = []
    goal, until = 0, float("inf")
    while True:
        for number, _ in poll.poll(0.1):
            if number == 0:
                line = sys.stdin.readline()
                if not line:
                    return
                order = json.loads(line)
                goal, until = order["frames"], time.monotonic() + order["patience"]
            else:
                late += heard(by_number[number])
        if goal and (len(late) >= goal or time.monotonic() > until):
            answer({"late_ms": late})
            late, goal, until = [], 0, float("inf")


def heard(ear: Ear) -> list[float]:
    """Of each frame of ours, how many ms it took."""
    now, late = time.time() * 1000, []
    for payload in ear.frames():
        if payload == b"2":
            ear.say("3")
        elif found := _SENT_AT.search(payload):
            late.append(now - float(found[1]))
    return late


if __name__ == "__main__":
    main()
