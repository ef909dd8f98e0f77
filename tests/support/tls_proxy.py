"""Terminates TLS in front of an embedded server, whose binaries are built without OpenSSL."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

POSTGRES_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
START_TIMEOUT_SECONDS = 10.0
CHUNK_BYTES = 65_536


@contextmanager
def tls_proxy(target_port: int, context: ssl.SSLContext, is_postgres: bool = False) -> Iterator[int]:
    """Yields the port to connect to. `is_postgres`: TLS begins after the client's SSLRequest; a client
    without TLS is disconnected."""
    proxy = _TlsProxy(target_port, context, is_postgres)
    thread = Thread(target=lambda: asyncio.run(proxy.run()), daemon=True)
    thread.start()
    try:
        assert proxy.started.wait(START_TIMEOUT_SECONDS), "the proxy did not start"
        yield proxy.port
    finally:
        proxy.stop()
        thread.join(START_TIMEOUT_SECONDS)


class _TlsProxy:
    def __init__(self, target_port: int, context: ssl.SSLContext, is_postgres: bool) -> None:
        self._target_port = target_port
        self._context = context
        self._is_postgres = is_postgres
        self.started = Event()
        self.port = 0

    async def run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tls = None if self._is_postgres else self._context
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        self.started.set()
        await self._stop.wait()
        server.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The client disconnects, or refuses the certificate.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if not self._is_postgres or await self._start_tls(reader, writer):
                await self._forward(reader, writer)
        writer.close()

    async def _start_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if await reader.readexactly(len(POSTGRES_SSL_REQUEST)) != POSTGRES_SSL_REQUEST:
            return False
        writer.write(b"S")
        await writer.start_tls(self._context)
        return True

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            copies = [
                asyncio.create_task(_copy(reader, target_writer)),
                asyncio.create_task(_copy(target_reader, writer)),
            ]
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            for copy in copies:
                copy.cancel()
        finally:
            target_writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(CHUNK_BYTES):
            target.write(chunk)
            await target.drain()
