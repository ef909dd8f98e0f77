"""Seals: codes and reset tokens, encrypted on their way through Redis, Kafka and the tables.

In    app/streams/critical.py: every OTP and PASSWORD_RESET; app/credentials.py: our reset tokens
Out   workers/mailer.py opens them as it writes the message, app/sockets.py for toasts

Sealed with SECRET_KEY, which all processes share (Fernet: AES and HMAC, of `cryptography`).
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
from app.domain.secrecy import (
    CODE_MINUTES,
    LETTER,
    MASKED_CODE,
    SEALED,
    SECRET_KINDS,
    letter_of,
    mask,
)


class Seals:
    def __init__(self, secret: str, now: Callable[[], float] = time.time) -> None:
        self._now = now
        key = hashlib.sha256(b"letters:" + secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def close(self, text: str) -> str:
        return self._fernet.encrypt_at_time(text.encode(), int(self._now())).decode()

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

    def hide_secrets(self, event: Event) -> Event:
        """The event as it may be stored and sent: of a code or a reset the text is sealed, and
        nothing else that may repeat the secret is kept."""
        if event.kind not in SECRET_KINDS or self._is_hidden(event):
            return event
        bare = replace(event, title=mask(event.title), metadata={})
        if event.message is None:
            return bare
        return self.hide(bare, MASKED_CODE if event.kind is Kind.OTP else None)

    def reveal(self, frame: dict[str, Any]) -> dict[str, Any]:
        """The frame as its owner's screens may have it: a log-in code while it is good, else
        masked. `group`, the text for lists, stays masked."""
        if SEALED not in frame:
            return frame
        shown = dict(frame)
        sealed = str(shown.pop(SEALED)).encode()
        try:
            opened = self._fernet.decrypt_at_time(sealed, CODE_MINUTES * 60, int(self._now()))
        except InvalidToken:
            return shown
        return shown | {"message": opened.decode()}

    def _is_hidden(self, event: Event) -> bool:
        """Whether we sealed it already: a stranger's metadata may only look like it."""
        sealed = letter_of(event.metadata)
        try:
            return sealed is not None and bool(self.open(sealed))
        except Rejected:
            return False
