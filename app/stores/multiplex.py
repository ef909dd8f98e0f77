"""One Redis connection that all greenlets of a web process share, for the script of a like.

In    stores/memberships.py
Out   Redis, in batches: what is asked while the last batch is on its way travels together

redis-py's pool costs 150-190 us of CPU per call under gevent, this 13-19 us (field notes 4).
Calls are answered in the order they were sent, so a queue of waiting callers is all the
bookkeeping. Only scripts that carry a deadline may come this way: a call that is given up is still
on the wire.
"""

import hashlib
import logging
from collections import deque
from typing import Any

import gevent
import hiredis
import redis
from gevent.event import AsyncResult, Event

from app.stores.redis import SCRIPTS

log = logging.getLogger(__name__)
MAX_WAITING = 20_000
RECEIVE_BYTES = 65_536


class Wire:
    """A connection, its writer and its reader. A broken one is dropped whole and never reused."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._socket: Any = connection._sock
        self._socket.settimeout(None)  # callers have their own patience
        self._unsent: list[bytes] = []
        self._news = Event()
        self._waiting: deque[AsyncResult[Any]] = deque()
        self.broken = False
        self._greenlets = [gevent.spawn(self._write), gevent.spawn(self._read)]

    def ask(self, command: bytes) -> "AsyncResult[Any]":
        """Raises redis.MaxConnectionsError when too many wait already: no fault of Redis."""
        if len(self._waiting) >= MAX_WAITING:
            raise redis.exceptions.MaxConnectionsError("too many calls wait for Redis")
        answer: AsyncResult[Any] = AsyncResult()
        self._waiting.append(answer)
        self._unsent.append(command)
        self._news.set()
        return answer

    def _write(self) -> None:
        try:
            while True:
                self._news.wait()
                self._news.clear()
                batch, self._unsent = self._unsent, []
                self._socket.sendall(b"".join(batch))
        except OSError as fault:
            self._break(fault)

    def _read(self) -> None:
        reader = hiredis.Reader(encoding="utf-8", errors="replace")
        try:
            while received := self._socket.recv(RECEIVE_BYTES):
                reader.feed(received)
                while (reply := reader.gets()) is not False:
                    self._waiting.popleft().set(reply)
            self._break(ConnectionError("Redis closed the connection"))
        except (OSError, hiredis.ProtocolError) as fault:
            self._break(fault)

    def _break(self, fault: Exception) -> None:
        """Nobody waits for an answer that cannot come."""
        if self.broken:
            return
        self.broken = True
        waiting, self._waiting = self._waiting, deque()
        for answer in waiting:
            answer.set_exception(redis.ConnectionError(str(fault)))
        self._connection.disconnect()
        gevent.killall(
            [one for one in self._greenlets if one is not gevent.getcurrent()], block=False
        )


class Multiplexer:
    """Scripts over the shared wire; it connects when it is first used, and again when it broke."""

    def __init__(self, url: str, connect_seconds: float, answer_seconds: float) -> None:
        self._pool = redis.ConnectionPool.from_url(
            url, socket_connect_timeout=connect_seconds, socket_timeout=answer_seconds, protocol=2
        )
        self._answer_seconds = answer_seconds
        self._wire: Wire | None = None
        self._connecting: AsyncResult[Wire] | None = None

    def script(self, name: str) -> "SharedScript":
        return SharedScript(self, (SCRIPTS / f"{name}.lua").read_text())

    def call(self, *words: str | int | bytes) -> Any:
        """Raises redis.TimeoutError, redis.ConnectionError, redis.ResponseError like redis-py."""
        try:
            wire = self._wire
            if wire is None or wire.broken:
                wire = self._connected()
            answer = wire.ask(hiredis.pack_command(words))  # type: ignore[arg-type]
            reply = answer.get(timeout=self._answer_seconds)
        except gevent.Timeout as fault:
            raise redis.TimeoutError("Redis did not answer in time") from fault
        if isinstance(reply, hiredis.ReplyError):
            raise _as_redis_py(str(reply))
        return reply

    def _connected(self) -> Wire:
        """One connection however many ask at once: the first connects, the others wait for it."""
        waiting = self._connecting
        if waiting is None:
            waiting = self._connecting = AsyncResult()
            try:
                self._wire = self._connect()
                waiting.set(self._wire)
            except (redis.RedisError, OSError) as fault:
                waiting.set_exception(redis.ConnectionError(str(fault)))
            finally:
                self._connecting = None
        wire: Any = waiting.get(timeout=self._answer_seconds)
        return wire  # type: ignore[no-any-return]

    def _connect(self) -> Wire:
        connection: Any = self._pool.make_connection()
        connection.connect()
        return Wire(connection)


class SharedScript:
    """Called like redis-py's Script: keys and args."""

    def __init__(self, multiplexer: Multiplexer, source: str) -> None:
        self._multiplexer = multiplexer
        self._source = source
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: list[str], args: list[str | int]) -> Any:
        try:
            return self._multiplexer.call("EVALSHA", self._sha, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            return self._multiplexer.call("EVAL", self._source, len(keys), *keys, *args)


def _as_redis_py(message: str) -> Exception:
    code, _, rest = message.partition(" ")
    known: dict[str, type[redis.ResponseError | redis.ConnectionError]] = {
        "NOSCRIPT": redis.exceptions.NoScriptError,
        "LOADING": redis.exceptions.BusyLoadingError,
        "OOM": redis.exceptions.OutOfMemoryError,
        "READONLY": redis.exceptions.ReadOnlyError,
    }
    return known.get(code, redis.ResponseError)(rest if code in known else message)
