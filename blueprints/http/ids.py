"""Parsing of UUIDs in paths and queries."""

import re

from app.domain.errors import Rejected
from app.domain.text import truncate_graphemes

_UUID_PATTERN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def parse_uuid(value: str) -> str:
    """The id in lower case. Raises Rejected (400)."""
    if _UUID_PATTERN.fullmatch(value):
        return value
    lower = value.lower()
    if _UUID_PATTERN.fullmatch(lower):
        return lower
    raise invalid_id(value)


def is_uuid(value: str) -> bool:
    return _UUID_PATTERN.fullmatch(value.lower()) is not None


def invalid_id(value: str) -> Rejected:
    return Rejected(f"Not a valid id: {truncate_graphemes(value, 60)}", "bad_id", 400)
