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

from app.domain.errors import Rejected
from app.persistence.bounded_counts import MAX_LISTED_ROWS
from app.social.posts import PageRequest
from blueprints.http.ids import parse_uuid

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


def parse_page_params(default_limit: int, max_limit: int) -> PageParams:
    """Raises Rejected (400) for a value that is not a number or out of range, and for a page number beyond
    MAX_LISTED_ROWS: PostgreSQL reads and drops all rows before an offset."""
    page_number = parse_int_arg("page", 1, MAX_PAGE_NUMBER)
    limit = parse_int_arg("limit", default_limit, max_limit)
    raw_cursor = request.args.get("cursor")
    if not raw_cursor and (page_number - 1) * limit >= MAX_LISTED_ROWS:
        raise PAGE_TOO_FAR
    return PageParams(page_number, limit, _decode_cursor(raw_cursor) if raw_cursor else None)


def parse_int_arg(arg_name: str, default: int, maximum: int) -> int:
    raw = request.args.get(arg_name)
    if raw is None:
        return default
    if not _INTEGER_PATTERN.fullmatch(raw) or not 1 <= int(raw) <= maximum:
        raise Rejected(f"{arg_name} must be a whole number from 1 to {maximum}", "out_of_range", 400)
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
