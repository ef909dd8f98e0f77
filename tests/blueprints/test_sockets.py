"""Sockets: what is no place in a history."""

from typing import Any

import pytest

from app.handshake import origins, since_of
from app.stores.history import Since


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
def test_a_malformed_place_is_a_fresh_start(given: Any) -> None:
    assert since_of(given) is None


def test_a_place(user_id: str) -> None:
    assert since_of({"epoch": user_id, "seq": 3}) == Since(user_id, 3)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://here:8000", True), ("https://app.example", True), ("https://evil.example", False)],
)
def test_the_own_origin_is_always_allowed(origin: str, allowed: bool) -> None:
    may = origins(("https://app.example",))
    assert may is not None
    assert may(origin, {"wsgi.url_scheme": "http", "HTTP_HOST": "here:8000"}) is allowed
