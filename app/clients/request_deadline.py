"""The timeout budget of a request: the total time that it may wait for PostgreSQL.

app/clients/gevent_setup.py reads and charges it at each wait. It is stored in Flask's `g`, which is new for
each request and each socket event.
"""

from flask import g, has_app_context

REQUEST_BUDGET_SECONDS = 1.8
_WAITED_KEY = "waited_for_postgres"


class RequestPostgresTimeoutBudget:
    def remaining_seconds(self) -> float:
        return (
            REQUEST_BUDGET_SECONDS - float(g.get(_WAITED_KEY, 0.0))
            if has_app_context()
            else REQUEST_BUDGET_SECONDS
        )

    def charge(self, seconds: float) -> None:
        if has_app_context():
            setattr(g, _WAITED_KEY, g.get(_WAITED_KEY, 0.0) + seconds)


def reset_request_timeout_budget() -> None:
    """For the few long requests that work in bounded steps."""
    g.pop(_WAITED_KEY, None)
