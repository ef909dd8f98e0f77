"""Which part of a list: page and limit as the seed has them, or a cursor.

In    the query of a request
Out   stores.posts.Slice; the cursor of the next part

A cursor names the last row of a part, so that rows which arrive meanwhile shift nothing.
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
from app.stores.posts import Slice
from blueprints.identity import uuid_of

MAX_PAGE = 1_000_000
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Paging:
    page: int
    limit: int
    cursor: list[Any] | None

    @property
    def slice(self) -> Slice:
        """One row more than asked for: whether there is a next part."""
        offset = 0 if self.cursor else (self.page - 1) * self.limit
        return Slice(self.limit + 1, offset, self.place)

    @property
    def place(self) -> tuple[datetime, str] | None:
        """A cursor of lists by time. Raises Rejected (400)."""
        if self.cursor is None:
            return None
        try:
            moment, last = self.cursor
            # Rows that are a pair of ids have both, joined by a colon.
            return datetime.fromisoformat(moment), ":".join(uuid_of(one) for one in last.split(":"))
        except (ValueError, TypeError, AttributeError, Rejected) as fault:
            raise bad_cursor() from fault

    def totals(self, total: int) -> dict[str, object]:
        pages = -(-total // self.limit)
        return {"page": self.page, "limit": self.limit, "total": total, "totalPages": pages}


def paging(default: int, most: int) -> Paging:
    """Raises Rejected (400) for what is no number or out of range."""
    page = number("page", 1, MAX_PAGE)
    limit = number("limit", default, most)
    raw = request.args.get("cursor")
    return Paging(page, limit, _decoded(raw) if raw else None)


def number(name: str, default: int, most: int) -> int:
    raw = request.args.get(name)
    if raw is None:
        return default
    if not _NUMBER.fullmatch(raw) or not 1 <= int(raw) <= most:
        raise Rejected(f"{name} must be a whole number from 1 to {most}", "out_of_range", 400)
    return int(raw)


def cursor(*place: object) -> str:
    """The place of a row in its list, opaque to the client."""
    values = [one.isoformat() if isinstance(one, datetime) else one for one in place]
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def _decoded(raw: str) -> list[Any]:
    try:
        found = orjson.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    except (ValueError, binascii.Error) as fault:
        raise bad_cursor() from fault
    if not isinstance(found, list):
        raise bad_cursor()
    return found


def next_cursor(rows: Sequence[Any], limit: int, place: Any) -> str | None:
    """None at the end. `place` tells a row's place from the row."""
    return cursor(*place(rows[limit - 1])) if len(rows) > limit else None


def bad_cursor() -> Rejected:
    return Rejected("The cursor is not valid", "bad_cursor", 400)
