"""What is shown of a record that may hold a code or a reset token: not its words.

Works on text, because what is put aside is often no JSON, or was cut.
"""

import re
from collections.abc import Mapping

from app.domain.events import CRITICAL_KINDS

WITHHELD = "[withheld]"
LETTER = "letter"
"""The name under which an event's metadata carries the sealed text of a letter (app/seals.py)."""
_CODED = re.compile("OTP|PASSWORD_RESET", re.IGNORECASE)
_CRITICAL = re.compile("|".join(sorted(CRITICAL_KINDS)), re.IGNORECASE)
_WORDS = re.compile(r'("(?:title|message|text|content)"\s*:\s*")(?:\\.|[^"\\])*', re.DOTALL)
_TOKEN = re.compile(r"(token=)[\w.~-]+")


def shown(payload: str) -> str:
    """The payload for a dashboard. Of critical kinds no title and no message."""
    if _CRITICAL.search(payload):
        payload = _WORDS.sub(rf"\1{WITHHELD}", payload)
    return _TOKEN.sub(rf"\1{WITHHELD}", payload)


def kept(payload: bytes) -> bytes:
    """The payload as it may be put aside: without the words of what carries codes and tokens."""
    text = payload.decode("utf-8", "surrogateescape")
    if not _CODED.search(text):
        return payload
    text = _TOKEN.sub(r"\1", _WORDS.sub(r"\1", text))
    return text.encode("utf-8", "surrogateescape")


def letter_of(metadata: Mapping[str, object]) -> str | None:
    """What only a letter says, still sealed."""
    sealed = metadata.get(LETTER)
    return sealed if isinstance(sealed, str) else None
