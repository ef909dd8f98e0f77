"""A TCP proxy that injects network faults, in a process of its own.

Commands on stdin, one JSON object a line: {"route": "redis", ...}; each is confirmed on stdout. A route
passes everything until a toxic is set. Data that a toxic holds back is forwarded once the toxic is
removed, as TCP would retransmit it. Term "toxic": https://github.com/Shopify/toxiproxy
"""

import asyncio
import json
import random
import socket
import struct
import sys
from dataclasses import dataclass, field, fields
from typing import Any

from harness.helper_process import send_response

CHUNK_BYTES = 65_536
DROP_POLL_SECONDS = 0.02
LINGER_RESET = struct.pack("ii", 1, 0)  # linger 0: close() sends RST


@dataclass(slots=True)
class Toxic:
    """A fault of a route. Directions: "up" is towards the service, "down" towards the client."""

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    held_directions: tuple[str, ...] = ()
    """Directions whose data is held back until the toxic is removed."""
    bytes_per_second: int = 0
    chunk_bytes: int = CHUNK_BYTES
    responses_to_drop: int = 0
    """The number of responses to replace by a connection reset; their requests were forwarded."""
    stalled_connection_share: float = 0.0
    """The share of new connections that are accepted and never forward anything."""


@dataclass(slots=True, eq=False)
class ProxiedConnection:
    """One connection through a route."""

    client_writer: asyncio.StreamWriter
    service_writer: asyncio.StreamWriter
    closed_directions: set[str] = field(default_factory=set)
    """Data in these directions is discarded."""

    def reset(self) -> None:
        for writer in (self.client_writer, self.service_writer):
            _send_rst(writer)

    def half_close(self, direction: str) -> None:
        self.closed_directions.add(direction)
        writer = self.service_writer if direction == "up" else self.client_writer
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


@dataclass(slots=True)
class ProxyRoute:
    name: str
    port: int
    target_port: int
    toxic: Toxic = field(default_factory=Toxic)
    connections: set[ProxiedConnection] = field(default_factory=set)
    server: asyncio.Server | None = None

    async def start_listening(self) -> None:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_stalled = random.random() < self.toxic.stalled_connection_share
        try:
            service_reader, service_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            _send_rst(writer)  # as a closed port does
            return
        connection = ProxiedConnection(writer, service_writer)
        self.connections.add(connection)
        try:
            if is_stalled:
                await reader.read()
            else:
                await asyncio.gather(
                    self._forward(connection, reader, service_writer, "up"),
                    self._forward(connection, service_reader, writer, "down"),
                )
        except (OSError, asyncio.IncompleteReadError):
            connection.reset()
        finally:
            self.connections.discard(connection)
            for stream in (writer, service_writer):
                stream.close()

    async def _forward(
        self,
        connection: ProxiedConnection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: str,
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if direction == "down" and self.toxic.responses_to_drop > 0:
                self.toxic.responses_to_drop -= 1
                connection.reset()
                return
            await self._write_with_toxic(connection, data, writer, direction)
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()

    async def _write_with_toxic(
        self,
        connection: ProxiedConnection,
        data: bytes,
        writer: asyncio.StreamWriter,
        direction: str,
    ) -> None:
        while direction in self.toxic.held_directions:
            await asyncio.sleep(DROP_POLL_SECONDS)
        toxic = self.toxic
        if toxic.delay_seconds or toxic.jitter_seconds:
            await asyncio.sleep(max(0.0, random.gauss(toxic.delay_seconds, toxic.jitter_seconds)))
        for offset in range(0, len(data), toxic.chunk_bytes):
            chunk = data[offset : offset + toxic.chunk_bytes]
            if direction in connection.closed_directions or writer.is_closing():
                return
            writer.write(chunk)
            await writer.drain()
            if toxic.bytes_per_second:
                await asyncio.sleep(len(chunk) / toxic.bytes_per_second)

    def apply_command(self, command: dict[str, Any]) -> None:
        if command.get("clear"):
            self.toxic = Toxic()
        if command.get("reset"):
            for connection in list(self.connections):
                connection.reset()
        if direction := command.get("half_close"):
            for connection in list(self.connections):
                connection.half_close(direction)
        for toxic_field in fields(Toxic):
            if toxic_field.name in command:
                value = command[toxic_field.name]
                setattr(
                    self.toxic,
                    toxic_field.name,
                    tuple(value) if toxic_field.name == "held_directions" else value,
                )


def _send_rst(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    writer.transport.abort()


async def serve(routes: dict[str, ProxyRoute]) -> None:
    """Runs until stdin ends, so that it ends with its parent."""
    for route in routes.values():
        await route.start_listening()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    send_response({})
    while line := await reader.readline():
        command = json.loads(line)
        routes[command.pop("route")].apply_command(command)
        send_response({})


def main() -> None:
    """Arguments: NAME:PORT:TARGET_PORT ..."""
    routes = {}
    for route_spec in sys.argv[1:]:
        name, port, target_port = route_spec.split(":")
        routes[name] = ProxyRoute(name, int(port), int(target_port))
    asyncio.run(serve(routes))


if __name__ == "__main__":
    main()
