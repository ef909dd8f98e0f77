"""Leases in PostgreSQL: what one worker does at a time, and what must go on while Redis is away.

In    streams/relay.py, workers/keeper.py
Out   the table leases

A row with an end, and no advisory lock: a frozen process keeps its session, and so its locks, for
as long as it stays frozen. For the same reason no transaction is open around a statement here.
"""

import time

from sqlalchemy import Engine, text

from app.stores.postgres import at_once, speaking

SECONDS = 5.0
RENEW_SECONDS = 1.0


class Lease:
    """`held()` is asked before each step; it asks PostgreSQL once a second."""

    def __init__(self, engine: Engine, name: str, token: str) -> None:
        self._engine = at_once(engine)
        self._values = {"name": name, "token": token, "seconds": SECONDS}
        self._mine = False
        self._renew_at = 0.0

    def held(self) -> bool:
        if not self._mine or time.monotonic() >= self._renew_at:
            with speaking("lease it"), self._engine.begin() as sql:
                self._mine = sql.execute(_HOLD, self._values).rowcount > 0
            self._renew_at = time.monotonic() + RENEW_SECONDS
        return self._mine

    def release(self) -> None:
        """Lets another take over without waiting for the lease to run out."""
        self._mine = False
        with speaking("give a lease back"), self._engine.begin() as sql:
            sql.execute(_RELEASE, self._values)


_HOLD = text(
    "insert into leases (name, token, until) "
    "values (:name, :token, now() + make_interval(secs => :seconds)) "
    "on conflict (name) do update set token = excluded.token, until = excluded.until "
    "where leases.token = excluded.token or leases.until < now()"
)
_RELEASE = text("delete from leases where name = :name and token = :token")
