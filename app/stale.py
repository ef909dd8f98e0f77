"""Whether the answer to this request may lag: its counts came from rows while Redis was away or not
trusted. Whoever reads them so marks it; the answer then says `stale: true` (contract 6.20).

Kept in Flask's `g`: new for each request, and nothing at all in a worker.
"""

from flask import g, has_app_context

_NAME = "counts_may_lag"


def mark() -> None:
    if has_app_context():
        setattr(g, _NAME, True)


def is_marked() -> bool:
    return bool(has_app_context() and g.get(_NAME, False))
