"""Removes log-in codes and reset tokens from records before they are shown or stored elsewhere.

Works on text, because dead letters are often cut or not JSON.
"""

import re
from collections.abc import Mapping
from typing import Any

from app.domain.events import CRITICAL_KINDS, Kind

REDACTED = "[withheld]"
ENCRYPTED_BODY_KEY = "encryptedBody"
"""Key in an event's metadata: the encrypted text of an e-mail or SMS
(app/messaging/message_encryption.py)."""
ENCRYPTED_CODE_KEY = "encryptedCode"
"""Key in a client event: the encrypted code that the recipient's browser may show."""
SECRET_KINDS = frozenset({Kind.OTP, Kind.PASSWORD_RESET})
"""Kinds whose texts are secrets: encrypted in transit and at rest."""
LOGIN_CODE_VALID_MINUTES = 5
"""How long a log-in code is valid and shown to its recipient."""
MASK = "••••••"
MASKED_CODE_TEXT = f"Your log-in code is {MASK}"
"""The text of a log-in code everywhere except in the toast and the message itself."""
_WORD_WITH_DIGIT = re.compile(r"\S*\d\S*")
_SECRET_KIND_NAME = re.compile("OTP|PASSWORD_RESET", re.IGNORECASE)
_CRITICAL_KIND_NAME = re.compile("|".join(sorted(CRITICAL_KINDS)), re.IGNORECASE)
_JSON_TEXT_FIELD = re.compile(r'("(?:title|message|text|content)"\s*:\s*")(?:\\.|[^"\\])*', re.DOTALL)
_TOKEN_PARAM = re.compile(r"(token=)[\w.~-]+")


def redact_for_display(payload: str) -> str:
    """The payload as the dashboard shows it: without tokens, and without the texts of critical kinds."""
    if _CRITICAL_KIND_NAME.search(payload):
        payload = _JSON_TEXT_FIELD.sub(rf"\1{REDACTED}", payload)
    return _TOKEN_PARAM.sub(rf"\1{REDACTED}", payload)


def redact_for_storage(payload: bytes) -> bytes:
    """The payload as it may be stored: without the texts and tokens of secret kinds."""
    text = payload.decode("utf-8", "surrogateescape")
    if not _SECRET_KIND_NAME.search(text):
        return payload
    text = _TOKEN_PARAM.sub(r"\1", _JSON_TEXT_FIELD.sub(r"\1", text))
    return text.encode("utf-8", "surrogateescape")


def get_encrypted_body(metadata: Mapping[str, object]) -> str | None:
    """The encrypted text of the e-mail or SMS, if there is one."""
    encrypted_body = metadata.get(ENCRYPTED_BODY_KEY)
    return encrypted_body if isinstance(encrypted_body, str) else None


def mask_code_in_title(title: str | None) -> str | None:
    """The title with each word that may be a code masked."""
    return title and _WORD_WITH_DIGIT.sub(MASK, title)


def with_encrypted_login_code(client_event: dict[str, Any], encrypted_body: str | None) -> dict[str, Any]:
    """The client event with its encrypted log-in code, which the web process decrypts for the recipient. A
    reset token is never added: it is for the e-mail only."""
    if encrypted_body is None or client_event.get("type") != Kind.OTP.value:
        return client_event
    return client_event | {ENCRYPTED_CODE_KEY: encrypted_body}
