"""Page parameters of list routes: `page` and `limit` as in the seed, or an opaque `cursor`.

A cursor holds the sort key of the last row of a page, so that rows inserted meanwhile do not shift
the next page.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from flask import request
from marshmallow import fields, post_load, validate

from app.domain.errors import Rejected
from app.persistence.bounded_counts import MAX_LISTED_ROWS
from app.social.posts import PageRequest
from blueprints.http.ids import parse_uuid
from blueprints.http.schemas import RequestSchema

MAX_PAGE_NUMBER = 1_000_000
PAGE_TOO_FAR = Rejected(
    f"Page numbers reach the first {MAX_LISTED_ROWS:,} rows only; "
    "for more, send the nextCursor of the page before as cursor",
    "page_too_far",
    400,
)
_INTEGER_PATTERN = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PageParams:
    page_number: int
    limit: int
    cursor_values: list[Any] | None

    @property
    def page_request(self) -> PageRequest:
        """One row more than the limit, which shows whether there is a next page."""
        offset = 0 if self.cursor_values else (self.page_number - 1) * self.limit
        return PageRequest(self.limit + 1, offset, self.cursor_key)

    @property
    def cursor_key(self) -> tuple[datetime, str] | None:
        """The cursor of a list sorted by time and id. Raises Rejected (400)."""
        if self.cursor_values is None:
            return None
        try:
            timestamp, row_ids = self.cursor_values
            # Rows with two ids have both, joined by a colon.
            return datetime.fromisoformat(timestamp), ":".join(
                parse_uuid(row_id) for row_id in row_ids.split(":")
            )
        except (ValueError, TypeError, AttributeError, Rejected) as error:
            raise invalid_cursor() from error

    def pagination_totals(self, counted_rows: int) -> dict[str, object]:
        """`counted_rows`: at most MAX_LISTED_ROWS + 1, which means that there are more than `total` says."""
        total_rows = min(counted_rows, MAX_LISTED_ROWS)
        return {
            "page": self.page_number,
            "limit": self.limit,
            "total": total_rows,
            "totalPages": -(-total_rows // self.limit),
            "totalIsExact": counted_rows <= MAX_LISTED_ROWS,
        }


class IntegerParam(fields.Integer):
    """A whole number from 1 to `maximum` in a query. Raises Rejected (400)."""

    def __init__(self, default: int, maximum: int, **options: Any) -> None:
        self._maximum = maximum
        super().__init__(load_default=default, validate=validate.Range(1, maximum), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        return _parse_integer(str(value), str(attr), self._maximum)


class PageQuery(RequestSchema):
    """The query of a list; a subclass may set another `limit`. `page` of the result is a PageParams."""

    page = IntegerParam(
        1,
        MAX_PAGE_NUMBER,
        metadata={"description": f"reaches the first {MAX_LISTED_ROWS:,} rows; beyond, use cursor"},
    )
    limit = IntegerParam(50, 100)
    cursor = fields.String(metadata={"description": "nextCursor of the previous page"})

    @post_load
    def build_page_params(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        return data | {"page": _build_page_params(data["page"], data["limit"], data.get("cursor"))}


def parse_page_params(page_size: int) -> PageParams:
    """The page parameters of an HTML page, as PageQuery. Raises Rejected (400)."""
    args = request.args
    page_number = _parse_integer(args.get("page", "1"), "page", MAX_PAGE_NUMBER)
    limit = _parse_integer(args.get("limit", str(page_size)), "limit", page_size)
    return _build_page_params(page_number, limit, args.get("cursor"))


def _build_page_params(page_number: int, limit: int, raw_cursor: str | None) -> PageParams:
    """Raises Rejected (400) for a page number beyond MAX_LISTED_ROWS: PostgreSQL reads and drops all rows
    before an offset."""
    if not raw_cursor and (page_number - 1) * limit >= MAX_LISTED_ROWS:
        raise PAGE_TOO_FAR
    return PageParams(page_number, limit, _decode_cursor(raw_cursor) if raw_cursor else None)


def _parse_integer(raw: str, name: str, maximum: int) -> int:
    if not _INTEGER_PATTERN.fullmatch(raw) or not 1 <= int(raw) <= maximum:
        raise Rejected(f"{name} must be a whole number from 1 to {maximum}", "out_of_range", 400)
    return int(raw)


def encode_cursor(*key_values: object) -> str:
    """Encodes the sort key of a row; opaque to clients."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in key_values]
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def _decode_cursor(encoded: str) -> list[Any]:
    try:
        values = orjson.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, binascii.Error) as error:
        raise invalid_cursor() from error
    if not isinstance(values, list):
        raise invalid_cursor()
    return values


def next_cursor(rows: Sequence[Any], limit: int, cursor_key_of: Any) -> str | None:
    """None on the last page. `rows` has one row more than `limit` if there is a next page;
    `cursor_key_of` returns the sort key of a row."""
    return encode_cursor(*cursor_key_of(rows[limit - 1])) if len(rows) > limit else None


def invalid_cursor() -> Rejected:
    return Rejected("The cursor is not valid", "bad_cursor", 400)
