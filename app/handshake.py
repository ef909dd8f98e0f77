"""Handshake: what a client may say before it is let in, as pure functions.

In    app/sockets.py
"""

from collections.abc import Callable
from typing import Any

from app.stores.history import Since


def since_of(given: Any) -> Since | None:
    """None for anything malformed: then the client starts afresh."""
    if not isinstance(given, dict):
        return None
    epoch, seq = given.get("epoch"), given.get("seq")
    if not isinstance(epoch, str) or isinstance(seq, bool) or not isinstance(seq, int) or seq < 0:
        return None
    return Since(epoch, seq)


def origins(allowed: tuple[str, ...]) -> Callable[[str, dict[str, str]], bool] | None:
    """Who may connect from where. None: the own origin only, which python-engineio knows."""
    if not allowed:
        return None

    def may(origin: str, environ: dict[str, str]) -> bool:
        own = f"{environ.get('wsgi.url_scheme')}://{environ.get('HTTP_HOST')}"
        return origin == own or origin in allowed

    return may
