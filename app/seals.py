"""Seals: what only a letter may say, closed on its way through Redis, Kafka and the tables.

In    app/credentials.py, blueprints/events.py: a reset token
Out   workers/mailer.py opens it, as it writes the message

Sealed with SECRET_KEY, which all processes share (Fernet: AES and HMAC, of `cryptography`).
"""

import base64
import hashlib
import re
from dataclasses import replace

from cryptography.fernet import Fernet, InvalidToken

from app.domain.errors import Rejected
from app.domain.events import Event, Kind
from app.domain.secrecy import LETTER

_TOKEN = re.compile(r"\btoken=", re.IGNORECASE)


class Seals:
    def __init__(self, secret: str) -> None:
        key = hashlib.sha256(b"letters:" + secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def close(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises Rejected: nobody who has this key closed it."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as fault:
            raise Rejected("Sealed with another SECRET_KEY", "sealed") from fault

    def hide(self, event: Event, public: str | None = None) -> Event:
        """The same event, its text for the letter alone; a toast says `public`, or the kind's own
        sentence."""
        sealed = {LETTER: self.close(event.message or "")}
        return replace(event, message=public, metadata={**event.metadata, **sealed})

    def hide_tokens(self, event: Event) -> Event:
        """Whoever raises a reset with its token in the text means the letter."""
        if event.kind is Kind.PASSWORD_RESET and _TOKEN.search(event.message or ""):
            return self.hide(event)
        return event
