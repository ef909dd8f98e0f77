"""What is shown of a record that may hold a code or a reset token: not its words.

Works on text, because what is put aside is often no JSON, or was cut.
"""

import re

from app.domain.events import CRITICAL_KINDS

WITHHELD = "[withheld]"
_CRITICAL = re.compile("|".join(sorted(CRITICAL_KINDS)), re.IGNORECASE)
_WORDS = re.compile(r'("(?:title|message|text|content)"\s*:\s*")(?:\\.|[^"\\])*', re.DOTALL)
_TOKEN = re.compile(r"(token=)[\w.~-]+")


def shown(payload: str) -> str:
    """The payload for a dashboard. Of critical kinds no title and no message."""
    if _CRITICAL.search(payload):
        payload = _WORDS.sub(rf"\1{WITHHELD}", payload)
    return _TOKEN.sub(rf"\1{WITHHELD}", payload)
