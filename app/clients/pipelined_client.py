"""A Redis connection shared by all greenlets of a web process, which pipelines their script calls.

Used by app/ingest/memberships.py. redis-py's pool costs 150-190 us of CPU per call under gevent, this 13-19
us (measured). Redis replies in the order of the calls, so a queue of waiting callers suffices. Only for
scripts with a deadline argument: a call whose caller timed out is still sent and executed.
"""

import hashlib
import time
from collections import deque
from typing import Any

import gevent
import hiredis
import redis
from gevent.event import AsyncResult, Event
from gevent.hub import Waiter

from app.clients.redis import read_lua_source

MAX_PENDING_CALLS = 20_000
RECEIVE_BUFFER_BYTES = 65_536
TIMEOUT_CHECKS_PER_TIMEOUT = 20
"""A call times out up to a twentieth late: one timer for all calls, because one for each would cost 3 us."""


class SharedRedisConnection:
    """A connection with a writer and a reader greenlet. After an error it is closed and never reused."""

    def __init__(self, connection: Any, reply_timeout_seconds: float) -> None:
        self._connection = connection
        self._socket: Any = connection._sock
        self._socket.settimeout(None)  # each call has its own timeout
        self._reply_timeout_seconds = reply_timeout_seconds
        self._run_in_hub = gevent.get_hub().loop.run_callback
        self._unsent_commands: list[bytes] = []
        self._has_unsent = Event()
        self._pending_calls: deque[tuple[Waiter[Any], float]] = deque()
        """The waiting caller, and when it times out. Without a greenlet, the caller is gone."""
        self.is_broken = False
        self._greenlets = [
            gevent.spawn(loop) for loop in (self._write_loop, self._read_loop, self._time_out_loop)
        ]

    def execute_command(self, command: bytes) -> Any:
        """Waits for the reply. Raises redis.TimeoutError, redis.ConnectionError, and MaxConnectionsError when
        too many calls wait already, which is not a failure of Redis."""
        if len(self._pending_calls) >= MAX_PENDING_CALLS:
            raise redis.exceptions.MaxConnectionsError("too many calls wait for Redis")
        waiter: Waiter[Any] = Waiter()
        self._pending_calls.append((waiter, time.monotonic() + self._reply_timeout_seconds))
        self._unsent_commands.append(command)
        self._has_unsent.set()
        return waiter.get()

    def _write_loop(self) -> None:
        try:
            while True:
                self._has_unsent.wait()
                self._has_unsent.clear()
                batch, self._unsent_commands = self._unsent_commands, []
                self._socket.sendall(b"".join(batch))
        except OSError as exc:
            self._close_and_fail_pending(exc)

    def _read_loop(self) -> None:
        reader = hiredis.Reader(encoding="utf-8", errors="replace")
        try:
            while received := self._socket.recv(RECEIVE_BUFFER_BYTES):
                reader.feed(received)
                while (reply := reader.gets()) is not False:
                    self._run_in_hub(self._pending_calls.popleft()[0].switch, reply)
            self._close_and_fail_pending(ConnectionError("Redis closed the connection"))
        except (OSError, hiredis.ProtocolError) as exc:
            self._close_and_fail_pending(exc)

    def _time_out_loop(self) -> None:
        while True:
            gevent.sleep(self._reply_timeout_seconds / TIMEOUT_CHECKS_PER_TIMEOUT)
            now = time.monotonic()
            for waiter, deadline in self._pending_calls:
                if deadline > now:
                    break
                if waiter.greenlet is not None:
                    self._run_in_hub(waiter.throw, redis.TimeoutError("Redis timed out"))

    def _close_and_fail_pending(self, exc: Exception) -> None:
        """Closes the connection and raises ConnectionError in all waiting callers."""
        if self.is_broken:
            return
        self.is_broken = True
        pending, self._pending_calls = self._pending_calls, deque()
        for waiter, _ in pending:
            self._run_in_hub(waiter.throw, redis.ConnectionError(str(exc)))
        self._connection.disconnect()
        gevent.killall(
            [greenlet for greenlet in self._greenlets if greenlet is not gevent.getcurrent()],
            block=False,
        )


class PipelinedRedisClient:
    """Runs scripts on a shared connection; connects at the first use and again after an error."""

    def __init__(self, url: str, connect_timeout_seconds: float, reply_timeout_seconds: float) -> None:
        self._pool = redis.ConnectionPool.from_url(
            url,
            socket_connect_timeout=connect_timeout_seconds,
            socket_timeout=reply_timeout_seconds,
            protocol=2,
        )
        self._reply_timeout_seconds = reply_timeout_seconds
        self._connection: SharedRedisConnection | None = None
        self._pending_connection: AsyncResult[SharedRedisConnection] | None = None

    def create_script(self, name: str) -> "PipelinedScript":
        return PipelinedScript(self, read_lua_source(name))

    def execute_command(self, *arguments: str | int | bytes) -> Any:
        """Raises redis.TimeoutError, redis.ConnectionError, redis.ResponseError like redis-py."""
        try:
            connection = self._connection
            if connection is None or connection.is_broken:
                connection = self._get_or_connect()
        except gevent.Timeout as exc:
            raise redis.TimeoutError("Redis timed out") from exc
        reply = connection.execute_command(hiredis.pack_command(arguments))  # type: ignore[arg-type]
        if isinstance(reply, hiredis.ReplyError):
            raise _to_redis_error(str(reply))
        return reply

    def _get_or_connect(self) -> SharedRedisConnection:
        """The connection; the first of several callers connects, the others wait for it."""
        pending = self._pending_connection
        if pending is None:
            pending = self._pending_connection = AsyncResult()
            try:
                self._connection = self._connect()
                pending.set(self._connection)
            except (redis.RedisError, OSError) as exc:
                pending.set_exception(redis.ConnectionError(str(exc)))
            finally:
                self._pending_connection = None
        connection: Any = pending.get(timeout=self._reply_timeout_seconds)
        return connection  # type: ignore[no-any-return]

    def _connect(self) -> SharedRedisConnection:
        connection: Any = self._pool.make_connection()
        connection.connect()
        return SharedRedisConnection(connection, self._reply_timeout_seconds)


class PipelinedScript:
    """A script, called with keys and args like redis-py's Script."""

    def __init__(self, client: PipelinedRedisClient, source: str) -> None:
        self._client = client
        self._source = source
        self._sha1 = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: list[str], args: list[str | int]) -> Any:
        try:
            return self._client.execute_command("EVALSHA", self._sha1, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            return self._client.execute_command("EVAL", self._source, len(keys), *keys, *args)


def _to_redis_error(message: str) -> Exception:
    error_code, _, detail = message.partition(" ")
    error_classes: dict[str, type[redis.ResponseError | redis.ConnectionError]] = {
        "NOSCRIPT": redis.exceptions.NoScriptError,
        "LOADING": redis.exceptions.BusyLoadingError,
        "OOM": redis.exceptions.OutOfMemoryError,
        "READONLY": redis.exceptions.ReadOnlyError,
    }
    return error_classes.get(error_code, redis.ResponseError)(
        detail if error_code in error_classes else message
    )
