"""Bell: hears what transactions NOTIFY as they commit, on a connection of its own."""

import select

import psycopg2
from sqlalchemy import text

from app.domain.errors import Unavailable
from app.stores.postgres import dsn

WAKE = text("select pg_notify(:channel, '')")
"""Rings without a word when its transaction commits."""


class Bell:
    """For one greenlet. Connects when first used, and again after each fault."""

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._connection: psycopg2.extensions.connection | None = None

    def wait(self, seconds: float) -> list[str]:
        """What was rung, or nothing after so long. Raises Unavailable: then rings may be lost."""
        try:
            connection = self._connected()
            if not connection.notifies and select.select([connection], [], [], seconds)[0]:
                connection.poll()
            rung = [str(one.payload) for one in connection.notifies]
            connection.notifies.clear()
        except (psycopg2.Error, ValueError, OSError) as fault:
            self.close()
            raise Unavailable("PostgreSQL does not ring", "postgres_unavailable") from fault
        return rung

    def check(self) -> None:
        """A connection that was cut without a word rings no more, and says nothing of it."""
        try:
            with self._connected().cursor() as cursor:
                cursor.execute("select 1")
        except (psycopg2.Error, ValueError, OSError) as fault:
            self.close()
            raise Unavailable("PostgreSQL does not ring", "postgres_unavailable") from fault

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> "psycopg2.extensions.connection":
        if self._connection is None:
            self._connection = psycopg2.connect(dsn(self._url), connect_timeout=2)
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                cursor.execute(f"listen {self._channel}")
        return self._connection
