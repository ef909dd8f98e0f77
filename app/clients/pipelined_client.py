"""A Redis connection shared by all greenlets of a web process, which pipelines their script calls.

Used by app/ingest/memberships.py. redis-py's pool costs 150-190 us of CPU per call under gevent, this 13-19
us (measured). Redis replies in the order of the calls, so a queue of waiting callers suffices. Only for
scripts with a deadline argument: a call whose caller timed out is still sent and executed.
"""

import hashlib
from collections import deque
from typing import Any

import gevent
import hiredis
import redis
from gevent.event import AsyncResult, Event

from app.clients.redis import read_lua_source

MAX_PENDING_CALLS = 20_000
RECEIVE_BUFFER_BYTES = 65_536


class SharedRedisConnection:
    """A connection with a writer and a reader greenlet. After an error it is closed and never reused."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._socket: Any = connection._sock
        self._socket.settimeout(None)  # each caller has its own timeout
        self._unsent_commands: list[bytes] = []
        self._has_unsent = Event()
        self._pending_replies: deque[AsyncResult[Any]] = deque()
        self.is_broken = False
        self._greenlets = [gevent.spawn(self._write_loop), gevent.spawn(self._read_loop)]

    def send_command(self, command: bytes) -> "AsyncResult[Any]":
        """Raises redis.MaxConnectionsError when too many calls wait already, which is not a failure of
        Redis."""
        if len(self._pending_replies) >= MAX_PENDING_CALLS:
            raise redis.exceptions.MaxConnectionsError("too many calls wait for Redis")
        reply: AsyncResult[Any] = AsyncResult()
        self._pending_replies.append(reply)
        self._unsent_commands.append(command)
        self._has_unsent.set()
        return reply

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
                    self._pending_replies.popleft().set(reply)
            self._close_and_fail_pending(ConnectionError("Redis closed the connection"))
        except (OSError, hiredis.ProtocolError) as exc:
            self._close_and_fail_pending(exc)

    def _close_and_fail_pending(self, exc: Exception) -> None:
        """Closes the connection and raises ConnectionError in all waiting callers."""
        if self.is_broken:
            return
        self.is_broken = True
        pending, self._pending_replies = self._pending_replies, deque()
        for reply in pending:
            reply.set_exception(redis.ConnectionError(str(exc)))
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
            pending_reply = connection.send_command(hiredis.pack_command(arguments))  # type: ignore[arg-type]
            reply = pending_reply.get(timeout=self._reply_timeout_seconds)
        except gevent.Timeout as exc:
            raise redis.TimeoutError("Redis timed out") from exc
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
        return SharedRedisConnection(connection)


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
