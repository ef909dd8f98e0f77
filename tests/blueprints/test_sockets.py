"""Sockets: what is no place in a history."""

from typing import Any

import pytest

from app.sockets import _since
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
    assert _since(given) is None


def test_a_place(user_id: str) -> None:
    assert _since({"epoch": user_id, "seq": 3}) == Since(user_id, 3)
