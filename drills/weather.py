"""The TCP proxy, in a process of its own: what lies between our processes and a service.

In    orders on stdin, one JSON object a line: {"lane": "redis", ...}
Out   bytes, late, slowly, half or not at all

A lane lets everything pass until it is told otherwise. What a dropping lane swallows is kept and
goes on when the lane heals, as the kernels on both sides would send it again.
"""

import asyncio
import json
import random
import socket
import struct
import sys
from dataclasses import dataclass, field, fields
from typing import Any

CHUNK = 65_536
LOOK_SECONDS = 0.02
RESET = struct.pack("ii", 1, 0)  # linger 0: close() sends RST


@dataclass(slots=True)
class Weather:
    """What a lane does to what passes. `up` is towards the service, `down` the answers."""

    delay: float = 0.0
    jitter: float = 0.0
    drop: tuple[str, ...] = ()
    bytes_per_second: int = 0
    piece: int = CHUNK
    cut_after: int = -1
    """Reset a connection once so many bytes of answers have passed (0: before the first)."""
    cuts: int = 0
    """How many answers are still to be lost: the request passes, its answer becomes a reset."""
    refuse: bool = False
    stalled: float = 0.0
    """The share of new connections that are accepted and never carry anything."""


@dataclass(slots=True, eq=False)
class Link:
    """One connection through a lane."""

    client: asyncio.StreamWriter
    service: asyncio.StreamWriter
    answered: int = 0
    ended: set[str] = field(default_factory=set)
    """Directions that are closed: what still comes that way is lost."""

    def reset(self) -> None:
        for writer in (self.client, self.service):
            _reset(writer)

    def half_close(self, way: str) -> None:
        self.ended.add(way)
        writer = self.service if way == "up" else self.client
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


@dataclass(slots=True)
class Lane:
    name: str
    port: int
    target: int
    weather: Weather = field(default_factory=Weather)
    links: set[Link] = field(default_factory=set)
    server: asyncio.Server | None = None

    async def open(self) -> None:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.weather.refuse:
            _reset(writer)
            return
        stalled = random.random() < self.weather.stalled
        try:
            answers, service = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)  # as from a port that nobody listens on
            return
        link = Link(writer, service)
        self.links.add(link)
        try:
            if stalled:
                await reader.read()
            else:
                await asyncio.gather(
                    self._pump(link, reader, service, "up"),
                    self._pump(link, answers, writer, "down"),
                )
        except (OSError, asyncio.IncompleteReadError):
            link.reset()
        finally:
            self.links.discard(link)
            for one in (writer, service):
                one.close()

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str
    ) -> None:
        while data := await reader.read(CHUNK):
            if way == "down" and self._cut(link, len(data)):
                link.reset()
                return
            await self._pass(link, data, writer, way)
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()

    def _cut(self, link: Link, size: int) -> bool:
        weather = self.weather
        if weather.cuts > 0:
            weather.cuts -= 1
            return True
        link.answered += size
        return 0 <= weather.cut_after < link.answered

    async def _pass(self, link: Link, data: bytes, writer: asyncio.StreamWriter, way: str) -> None:
        while way in self.weather.drop:
            await asyncio.sleep(LOOK_SECONDS)
        weather = self.weather
        if weather.delay or weather.jitter:
            await asyncio.sleep(max(0.0, random.gauss(weather.delay, weather.jitter)))
        for at in range(0, len(data), weather.piece):
            piece = data[at : at + weather.piece]
            if way in link.ended or writer.is_closing():
                return
            writer.write(piece)
            await writer.drain()
            if weather.bytes_per_second:
                await asyncio.sleep(len(piece) / weather.bytes_per_second)

    def order(self, given: dict[str, Any]) -> None:
        if given.get("heal"):
            self.weather = Weather()
        if given.get("reset"):
            for link in list(self.links):
                link.reset()
        if way := given.get("half_close"):
            for link in list(self.links):
                link.half_close(way)
        for one in fields(Weather):
            if one.name in given:
                value = given[one.name]
                setattr(self.weather, one.name, tuple(value) if one.name == "drop" else value)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def serve(lanes: dict[str, Lane]) -> None:
    """Until stdin ends: the parent's death is ours."""
    for lane in lanes.values():
        await lane.open()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    sys.stdout.write("open\n")
    sys.stdout.flush()
    while line := await reader.readline():
        given = json.loads(line)
        lanes[given.pop("lane")].order(given)
        sys.stdout.write("done\n")
        sys.stdout.flush()


def main() -> None:
    """argv: name:port:target ..."""
    lanes = {}
    for one in sys.argv[1:]:
        name, port, target = one.split(":")
        lanes[name] = Lane(name, int(port), int(target))
    asyncio.run(serve(lanes))


if __name__ == "__main__":
    main()
