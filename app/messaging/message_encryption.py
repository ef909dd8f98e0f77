"""Encryption of codes and reset tokens on their way through Redis, Kafka and the tables.

In: every OTP and PASSWORD_RESET event (app/ingest/critical_publisher.py) and our own reset tokens
(app/accounts/credentials.py). Out: decrypted by workers/message_renderer.py for e-mails and text messages,
and by app/delivery/local_sockets.py for toasts. The key derives from SECRET_KEY, which all processes share
(Fernet of `cryptography`: AES and HMAC).
"""

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from app.domain.errors import Rejected
from app.domain.events import Event, Kind
from app.domain.redaction import (
    ENCRYPTED_BODY_KEY,
    ENCRYPTED_CODE_KEY,
    LOGIN_CODE_VALID_MINUTES,
    MASKED_CODE_TEXT,
    SECRET_KINDS,
    get_encrypted_body,
    mask_code_in_title,
)


class MessageEncryption:
    def __init__(self, secret: str, now: Callable[[], float] = time.time) -> None:
        self._now = now
        key = hashlib.sha256(b"message-encryption:" + secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def encrypt(self, text: str) -> str:
        return self._fernet.encrypt_at_time(text.encode(), int(self._now())).decode()

    def decrypt(self, encrypted: str) -> str:
        """Raises Rejected if it was not encrypted with this key."""
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken as exc:
            raise Rejected("Encrypted with another SECRET_KEY", "decryption_failed") from exc

    def encrypt_body(self, event: Event, public_text: str | None = None) -> Event:
        """Moves the text of the event into encrypted metadata, for the e-mail only. Toasts show
        `public_text`, or the default text of the kind."""
        encrypted_metadata = {ENCRYPTED_BODY_KEY: self.encrypt(event.message or "")}
        return replace(event, message=public_text, metadata={**event.metadata, **encrypted_metadata})

    def encrypt_secrets(self, event: Event) -> Event:
        """The event as it may be stored and sent: the text of a code or reset is encrypted, and all
        fields that may repeat the secret are removed."""
        if event.kind not in SECRET_KINDS or self._has_own_encrypted_body(event):
            return event
        stripped = replace(event, title=mask_code_in_title(event.title), metadata={})
        if event.message is None:
            return stripped
        return self.encrypt_body(stripped, MASKED_CODE_TEXT if event.kind is Kind.OTP else None)

    def decrypt_login_code(self, client_event: dict[str, Any]) -> dict[str, Any]:
        """The client event for its recipient: with the log-in code while it is valid, otherwise masked.
        `group`, the text for lists, stays masked."""
        if ENCRYPTED_CODE_KEY not in client_event:
            return client_event
        revealed = dict(client_event)
        encrypted = str(revealed.pop(ENCRYPTED_CODE_KEY)).encode()
        try:
            decrypted = self._fernet.decrypt_at_time(
                encrypted, LOGIN_CODE_VALID_MINUTES * 60, int(self._now())
            )
        except InvalidToken:
            return revealed
        return revealed | {"message": decrypted.decode()}

    def _has_own_encrypted_body(self, event: Event) -> bool:
        """Whether this system encrypted it: metadata of another service may only look encrypted."""
        encrypted = get_encrypted_body(event.metadata)
        try:
            return encrypted is not None and bool(self.decrypt(encrypted))
        except Rejected:
            return False
