"""Checks of the Socket.IO handshake: resume point and origin, as pure functions."""

from collections.abc import Callable
from typing import Any

from app.delivery.history import ResumePoint


def parse_resume_point(payload: Any) -> ResumePoint | None:
    """None for anything malformed: then the client does not resume."""
    if not isinstance(payload, dict):
        return None
    epoch, client_seq = payload.get("epoch"), payload.get("seq")
    if (
        not isinstance(epoch, str)
        or isinstance(client_seq, bool)
        or not isinstance(client_seq, int)
        or client_seq < 0
    ):
        return None
    return ResumePoint(epoch, client_seq)


def build_origin_check(allowed_origins: tuple[str, ...]) -> Callable[[str, dict[str, str]], bool] | None:
    """The check of allowed origins; None: python-engineio allows the own origin only."""
    if not allowed_origins:
        return None

    def is_allowed(origin: str, environ: dict[str, str]) -> bool:
        own_origin = f"{environ.get('wsgi.url_scheme')}://{environ.get('HTTP_HOST')}"
        return origin == own_origin or origin in allowed_origins

    return is_allowed
