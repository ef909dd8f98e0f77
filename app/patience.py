"""Patience: a request waits for PostgreSQL only so long in all, however many questions it asks.

In    app/green.py, at each wait
Out   the seconds that are left to the current request

Kept in Flask's `g`, which is new for each request and each event of a socket, and costs those
nothing that never ask PostgreSQL.
"""

from flask import g, has_app_context

SECONDS = 1.8
_NAME = "waited_for_postgres"


class RequestPatience:
    def left(self) -> float:
        return SECONDS - float(g.get(_NAME, 0.0)) if has_app_context() else SECONDS

    def waited(self, seconds: float) -> None:
        if has_app_context():
            setattr(g, _NAME, g.get(_NAME, 0.0) + seconds)


def renew() -> None:
    """For the few requests that are long by nature and work in bounded steps."""
    g.pop(_NAME, None)
