"""Handshake of sockets: resume points and origins."""

from typing import Any

import pytest

from app.delivery.handshake import build_origin_check, parse_resume_point
from app.delivery.history import ResumePoint


@pytest.mark.parametrize(
    "given",
    [
        None,
        "x",
        {},
        {"epoch": "e"},
        {"epoch": 1, "seq": 1},
        {"epoch": "e", "seq": True},
        {"epoch": "e", "seq": -1},
        {"epoch": "e", "seq": 1.5},
    ],
)
def test_malformed_resume_point_starts_fresh(given: Any) -> None:
    assert parse_resume_point(given) is None


def test_resume_point_is_parsed(user_id: str) -> None:
    assert parse_resume_point({"epoch": user_id, "seq": 3}) == ResumePoint(user_id, 3)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://here:8000", True), ("https://app.example", True), ("https://evil.example", False)],
)
def test_own_and_configured_origins_are_allowed_only(origin: str, allowed: bool) -> None:
    is_allowed = build_origin_check(("https://app.example",))
    assert is_allowed is not None
    assert is_allowed(origin, {"wsgi.url_scheme": "http", "HTTP_HOST": "here:8000"}) is allowed
