"""Cursors and local paths."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from app.domain.errors import Rejected
from blueprints.paging import cursor, next_cursor, paging
from blueprints.signed_in import local

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
ID = "01a20a11-d09a-71d1-afcb-471ee183a627"


def test_a_cursor_leads_back_to_its_place(app: Flask) -> None:
    with app.test_request_context(f"/?cursor={cursor(MOMENT, ID)}"):
        assert paging(10, 50).place == (MOMENT, ID)


@pytest.mark.parametrize("place", [(MOMENT,), (MOMENT, "x"), ("yesterday", ID), (1, 2), ()])
def test_a_cursor_of_another_list_is_refused(app: Flask, place: tuple[object, ...]) -> None:
    with (
        app.test_request_context(f"/?cursor={cursor(*place)}"),
        pytest.raises(Rejected, match="cursor"),
    ):
        _ = paging(10, 50).place


def test_there_is_a_next_part_only_if_there_is_more() -> None:
    assert next_cursor([1, 2], 2, lambda n: (n,)) is None
    assert next_cursor([1, 2, 3], 2, lambda n: (n,)) == cursor(2)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/posts/1?x=2", "/posts/1?x=2"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\nb", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_the_way_back_stays_on_this_site(given: str | None, path: str) -> None:
    assert local(given) == path
