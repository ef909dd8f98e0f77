"""Receives NOTIFY payloads from PostgreSQL on a connection of its own."""

import select

import psycopg2
from sqlalchemy import text

from app.clients.postgres import libpq_dsn
from app.domain.errors import Unavailable

NOTIFY = text("select pg_notify(:channel, '')")
"""Sends an empty payload when its transaction commits."""


class PgNotifyListener:
    """For one greenlet. Connects at the first use and again after each error."""

    def __init__(self, url: str, *channels: str) -> None:
        self._url = url
        self._channels = channels
        self._connection: psycopg2.extensions.connection | None = None

    def wait_for_payloads(self, timeout_seconds: float) -> list[str]:
        """The received payloads; none after the timeout. Raises Unavailable: payloads may have been lost."""
        try:
            connection = self._get_connection()
            if not connection.notifies and select.select([connection], [], [], timeout_seconds)[0]:
                connection.poll()
            payloads = [str(notification.payload) for notification in connection.notifies]
            connection.notifies.clear()
        except (psycopg2.Error, ValueError, OSError) as exc:
            self.close()
            raise Unavailable("The LISTEN connection to PostgreSQL failed", "postgres_unavailable") from exc
        return payloads

    def check_connection(self) -> None:
        """Raises Unavailable if the connection is broken, which waiting alone does not detect."""
        try:
            with self._get_connection().cursor() as cursor:
                cursor.execute("select 1")
        except (psycopg2.Error, ValueError, OSError) as exc:
            self.close()
            raise Unavailable("The LISTEN connection to PostgreSQL failed", "postgres_unavailable") from exc

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _get_connection(self) -> "psycopg2.extensions.connection":
        if self._connection is None:
            self._connection = psycopg2.connect(libpq_dsn(self._url), connect_timeout=2)
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                for channel in self._channels:
                    cursor.execute(f"listen {channel}")
        return self._connection
