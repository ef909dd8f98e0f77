"""Parsing of UUIDs in paths and queries."""

from app.domain.errors import Rejected
from app.domain.events import CANONICAL_UUID
from app.domain.text import truncate_graphemes


def is_uuid(value: str) -> bool:
    return CANONICAL_UUID.fullmatch(value.lower()) is not None


def parse_uuid(value: str) -> str:
    """The id in lower case. Raises Rejected (400)."""
    if CANONICAL_UUID.fullmatch(lower := value.lower()):
        return lower
    raise Rejected(f"Not a valid id: {truncate_graphemes(value, 60)}", "bad_id", 400)
