"""Leases in PostgreSQL (table leases): one worker at a time does a job, also while Redis is unavailable.

A lease is a row that expires, not an advisory lock: a frozen process would keep its session and its locks.
For the same reason, each statement here is a transaction of its own.
"""

import time

from sqlalchemy import Engine, text

from app.clients.postgres import autocommit_engine, translate_errors

LEASE_SECONDS = 5.0
RENEW_INTERVAL_SECONDS = 1.0


class PostgresLease:
    """Call acquire_or_renew() before each step; it accesses PostgreSQL once a second."""

    def __init__(self, engine: Engine, name: str, owner_token: str) -> None:
        self._engine = autocommit_engine(engine)
        self._params = {"name": name, "token": owner_token, "seconds": LEASE_SECONDS}
        self._is_owner = False
        self._next_renewal_at = 0.0

    def acquire_or_renew(self) -> bool:
        if not self._is_owner or time.monotonic() >= self._next_renewal_at:
            with translate_errors("renew a lease"), self._engine.begin() as conn:
                self._is_owner = conn.execute(_ACQUIRE_OR_RENEW, self._params).rowcount > 0
            self._next_renewal_at = time.monotonic() + RENEW_INTERVAL_SECONDS
        return self._is_owner

    def release(self) -> None:
        """Lets another worker take over before the lease expires."""
        self._is_owner = False
        with translate_errors("release a lease"), self._engine.begin() as conn:
            conn.execute(_RELEASE, self._params)


_ACQUIRE_OR_RENEW = text(
    "insert into leases (name, token, expires_at) "
    "values (:name, :token, now() + make_interval(secs => :seconds)) "
    "on conflict (name) do update set token = excluded.token, expires_at = excluded.expires_at "
    "where leases.token = excluded.token or leases.expires_at < now()"
)
_RELEASE = text("delete from leases where name = :name and token = :token")
