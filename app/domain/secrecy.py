"""What is shown of a record that may hold a code or a reset token: not its words.

Works on text, because what is put aside is often no JSON, or was cut.
"""

import re
from collections.abc import Mapping
from typing import Any

from app.domain.events import CRITICAL_KINDS, Kind

WITHHELD = "[withheld]"
LETTER = "letter"
"""The name under which an event's metadata carries the sealed text of a letter (app/seals.py)."""
SEALED = "sealed"
"""The name under which a frame carries the sealed text that its owner's screens may show."""
SECRET_KINDS = frozenset({Kind.OTP, Kind.PASSWORD_RESET})
"""Their texts are secrets: sealed on their way and at rest."""
CODE_MINUTES = 5
"""A log-in code is good, and shown to its owner, for so long."""
MASK = "••••••"
MASKED_CODE = f"Your log-in code is {MASK}"
"""What lists, and everything else but the toast and the letter, say of a code."""
_WITH_DIGITS = re.compile(r"\S*\d\S*")
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


def mask(title: str | None) -> str | None:
    """A title without any word that may be a code."""
    return title and _WITH_DIGITS.sub(MASK, title)


def with_code(frame: dict[str, Any], letter: str | None) -> dict[str, Any]:
    """The frame with its log-in code, sealed, for the web process that shows it to its owner. A
    reset token is for the letter alone."""
    if letter is None or frame.get("type") != Kind.OTP.value:
        return frame
    return frame | {SEALED: letter}
