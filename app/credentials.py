"""Credentials: changing a password, getting in without it, and codes that prove who is there.

In    blueprints/passwords.py
Out   stores/secrets.py (hashes only); OTP, PASSWORD_RESET and SECURITY_ALERT on the critical lane
"""

import hashlib
import hmac
import logging
import secrets
import time

import gevent

from app.accounts import Desk, alert
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Event, Kind
from app.domain.secrecy import CODE_MINUTES
from app.seals import Seals
from app.stores.secrets import RESET_MINUTES, Secrets
from app.tokens import Claims, invalid

log = logging.getLogger(__name__)
# Longer than looking up, keeping and telling take, so that the time tells nothing.
ANSWER_SECONDS = 0.3
RETRY_SECONDS = (0.5, 2.0, 8.0)
ASKED = (
    "A password reset was requested for your account; how to go on is in the e-mail. If this was "
    "not you, do nothing."
)
"""What a toast says: whoever looks at an open screen must not be able to reset a password."""
BAD_TOKEN = Rejected("Invalid or expired reset token", "invalid_reset_token", 400)
BAD_CODE = Rejected("Invalid or expired code", "invalid_code", 400)
WRONG_PASSWORD = Rejected("The current password is wrong", "wrong_password", 400)


class Credentials:
    def __init__(self, desk: Desk, kept: Secrets, secret_key: str) -> None:
        self._desk = desk
        self._secrets = kept
        self._key = secret_key.encode()
        self._seals = Seals(secret_key)

    def change(self, claims: Claims, current: str, new: str) -> None:
        """Ends all other sessions. Raises Rejected, TooMany."""
        desk = self._desk
        found = desk.users.by_id(claims.user_id)
        if found is None:
            raise invalid()
        desk.limits.guess("password", found.id)
        if not desk.passwords.fits(current, found.password_hash):
            raise WRONG_PASSWORD
        ended = self._secrets.change(
            found.id, found.password_hash, desk.passwords.hash(new), claims.session_id
        )
        if ended is None:
            raise WRONG_PASSWORD
        desk.revocations.note(ended)
        self._warn(found.id, "Your password was changed. If this was not you, reset it now.")

    def request_reset(self, email: str, address: str) -> None:
        """The same answer after the same time whether or not there is such an account."""
        email, began = email.lower(), time.monotonic()
        self._desk.limits.letter("reset", email, address)
        found = self._desk.users.by_email(email)
        if found:
            gevent.spawn(self._send_reset, found.id)
        gevent.sleep(max(0.0, began + ANSWER_SECONDS - time.monotonic()))

    def reset(self, token: str, new: str) -> None:
        """Ends all sessions. Raises Rejected."""
        user_id = self._secrets.owner_of_reset(token)
        if user_id is None:
            raise BAD_TOKEN
        ended = self._secrets.reset(token, self._desk.passwords.hash(new))
        if ended is None:
            raise BAD_TOKEN
        self._desk.revocations.note(ended)
        self._warn(user_id, "Your password was reset, and all your sessions were ended.")

    def request_code(self, user_id: str, address: str) -> None:
        """Raises TooMany, Unavailable."""
        self._desk.limits.letter("otp", user_id, address)
        code = f"{secrets.randbelow(1_000_000):06d}"
        self._secrets.keep_code(user_id, self._digest(user_id, code))
        message = f"Your code is {code}. It is good for {CODE_MINUTES} minutes."
        self._desk.raise_event(self._event(Kind.OTP, user_id, message))

    def verify_code(self, user_id: str, code: str) -> None:
        """Raises Rejected."""
        if not self._secrets.try_code(user_id, self._digest(user_id, code)):
            raise BAD_CODE

    def _send_reset(self, user_id: str) -> None:
        """Nobody waits for it, so it is tried more than once."""
        token = secrets.token_urlsafe(32)
        message = (
            f"A password reset was requested for your account: token={token} "
            f"It is good for {RESET_MINUTES} minutes. If this was not you, do nothing."
        )
        event = self._seals.hide(self._event(Kind.PASSWORD_RESET, user_id, message), ASKED)
        kept = False
        for pause in (*RETRY_SECONDS, None):
            try:
                if not kept:  # once it is told, keeping it again would take it out of its letter
                    self._secrets.keep_reset(user_id, token)
                    kept = True
                self._desk.raise_event(event)
                return
            except Unavailable as fault:
                log.warning("A password reset could not be sent: %s", fault)
                if pause is not None:
                    gevent.sleep(pause)

    def _warn(self, user_id: str, message: str) -> None:
        """What it tells of has happened already: it must not fail for want of an alert."""
        told = alert(self._desk.new_id(), user_id, message)
        try:
            self._desk.raise_event(told)
        except Unavailable as fault:
            log.warning("A security alert could not be sent: %s", fault)

    def _event(self, kind: Kind, user_id: str, message: str) -> Event:
        return Event(self._desk.new_id(), kind, user_id, message=message)

    def _digest(self, user_id: str, code: str) -> str:
        """Keyed: of six digits a plain hash would hide nothing from who reads the table."""
        return hmac.new(self._key, f"otp:{user_id}:{code}".encode(), hashlib.sha256).hexdigest()
