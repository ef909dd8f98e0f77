"""Cursors and local paths."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from app.domain.errors import Rejected
from app.persistence.pages import Page, cut_page
from blueprints.http.pagination import encode_cursor, parse_page
from blueprints.pages.page_session import safe_local_path

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
ID = "01a20a11-d09a-71d1-afcb-471ee183a627"


def test_cursor_is_decoded_to_its_key(app: Flask) -> None:
    with app.test_request_context(f"/?cursor={encode_cursor((MOMENT, ID))}"):
        assert parse_page().after_key == (MOMENT, ID)


@pytest.mark.parametrize(
    "values",
    [
        (MOMENT,),
        (MOMENT, "x"),
        (MOMENT, f"{ID}:{ID}"),
        (MOMENT.replace(tzinfo=None), ID),
        (datetime.min.replace(tzinfo=UTC), ID),
        ("yesterday", ID),
        (1, 2),
        (),
    ],
)
def test_cursor_of_another_list_is_refused(app: Flask, values: tuple[object, ...]) -> None:
    with (
        app.test_request_context(f"/?cursor={encode_cursor(values)}"),
        pytest.raises(Rejected, match="cursor"),
    ):
        parse_page()


def test_next_key_exists_only_if_there_is_more() -> None:
    assert cut_page([1, 2], 2, lambda n: (n,)) == Page([1, 2], None)
    assert cut_page([1, 2, 3], 2, lambda n: (n,)) == Page([1, 2], (2,))
    assert encode_cursor(None) is None


@pytest.mark.parametrize(
    ("return_url", "path"),
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
def test_return_url_stays_on_this_site(return_url: str | None, path: str) -> None:
    assert safe_local_path(return_url) == path
