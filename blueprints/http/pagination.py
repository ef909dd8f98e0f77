"""Pages of list routes: `page` and `limit` as in the seed, or an opaque `cursor`.

A cursor holds the sort key of the last row of a page (app/persistence/pages.py), so that rows inserted
meanwhile do not shift the next page.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

import orjson
from flask import request
from marshmallow import fields, post_load, validate

from app.domain.errors import Rejected, define_rejection
from app.persistence.bounded_counts import MAX_LISTED_ROWS
from app.persistence.pages import PageRequest, SortKey
from blueprints.http.ids import parse_uuid
from blueprints.http.schemas import RequestSchema, validate_data

MAX_PAGE_NUMBER = 1_000_000
MAX_BIGINT = 2**63 - 1
MAX_CURSOR_YEAR = 9000
PAGE_TOO_FAR = define_rejection(
    f"Page numbers reach the first {MAX_LISTED_ROWS:,} rows only; "
    "for more, send the nextCursor of the page before as cursor",
    "page_too_far",
    400,
)
INVALID_CURSOR = define_rejection("The cursor is not valid", "bad_cursor", 400)
_INTEGER_PATTERN = re.compile(r"[0-9]{1,9}", re.ASCII)
CursorParsers = tuple[Callable[[Any], Any], ...]
"""One per value of a sort key. Each raises ValueError, TypeError, AttributeError or Rejected."""


def time_value(value: Any) -> datetime:
    """A time with its zone. Years at the ends of the range of datetime cannot be calculated with."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or not 1970 <= moment.year <= MAX_CURSOR_YEAR:
        raise ValueError(value)
    return moment


def value_of(expected: type) -> Callable[[Any], Any]:
    """Integers are at most a bigint of PostgreSQL."""

    def check(value: Any) -> Any:
        if type(value) is not expected or (isinstance(value, int) and abs(value) > MAX_BIGINT):
            raise TypeError(expected)
        return value

    return check


class IntegerParam(fields.Integer):
    """A whole number from 1 to `maximum` in a query. Raises Rejected (400)."""

    def __init__(self, default: int, maximum: int, **options: Any) -> None:
        self._maximum = maximum
        super().__init__(load_default=default, validate=validate.Range(1, maximum), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        text = str(value)
        if not _INTEGER_PATTERN.fullmatch(text) or not 1 <= int(text) <= self._maximum:
            message = f"{attr} must be a whole number from 1 to {self._maximum}"
            raise Rejected(message, "out_of_range", 400)
        return int(text)


class PageQuery(RequestSchema):
    """The query of a list; a subclass may set another `limit` and another sort key. `page` of the result is a
    PageRequest."""

    cursor_parsers: ClassVar[CursorParsers] = (time_value, parse_uuid)
    page = IntegerParam(
        1,
        MAX_PAGE_NUMBER,
        metadata={"description": f"reaches the first {MAX_LISTED_ROWS:,} rows; beyond, use cursor"},
    )
    limit = IntegerParam(50, 100)
    cursor = fields.String(metadata={"description": "nextCursor of the previous page"})

    @post_load
    def build_page_request(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        """Raises Rejected (400) for a page number beyond MAX_LISTED_ROWS: PostgreSQL reads and drops all rows
        before an offset."""
        limit, offset = data["limit"], (data["page"] - 1) * data["limit"]
        if data.get("cursor"):
            page = PageRequest(limit, after_key=_decode_cursor(data["cursor"], self.cursor_parsers))
        elif offset >= MAX_LISTED_ROWS:
            raise PAGE_TOO_FAR
        else:
            page = PageRequest(limit, offset)
        return data | {"page": page}


class HtmlPageQuery(PageQuery):
    """Of a list in an HTML page."""

    limit = IntegerParam(20, 20)


_HTML_PAGE_QUERY = HtmlPageQuery()


def parse_page(query: HtmlPageQuery = _HTML_PAGE_QUERY) -> PageRequest:
    """The page of the current request for an HTML page. Raises Rejected (400)."""
    page: PageRequest = validate_data(query, request.args)["page"]
    return page


def pagination_totals(page: PageRequest, counted_rows: int) -> dict[str, object]:
    """`counted_rows`: at most MAX_LISTED_ROWS + 1, which means that there are more than `total` says."""
    total_rows = min(counted_rows, MAX_LISTED_ROWS)
    return {
        "page": page.offset // page.limit + 1,
        "limit": page.limit,
        "total": total_rows,
        "totalPages": -(-total_rows // page.limit),
        "totalIsExact": counted_rows <= MAX_LISTED_ROWS,
    }


def encode_cursor(next_key: SortKey | None) -> str | None:
    """Opaque to clients; None on the last page."""
    if next_key is None:
        return None
    values = [value.isoformat() if isinstance(value, datetime) else value for value in next_key]
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def _decode_cursor(encoded: str, parsers: CursorParsers) -> SortKey:
    try:
        values = orjson.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        return tuple(parse(value) for parse, value in zip(parsers, values, strict=True))
    except (ValueError, TypeError, AttributeError, binascii.Error, Rejected) as error:
        raise INVALID_CURSOR from error
