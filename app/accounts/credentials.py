"""Password change, password reset, and one-time codes.

Input: blueprints/api/passwords.py. Output: app/accounts/one_time_tokens.py (hashes only), and OTP,
PASSWORD_RESET and SECURITY_ALERT events on the critical topic.
"""

import hashlib
import hmac
import logging
import secrets
import time

import gevent

from app.accounts.access_tokens import Claims
from app.accounts.authentication import AuthServices, build_security_alert_event
from app.accounts.one_time_tokens import OneTimeTokens
from app.domain.errors import Unavailable, define_rejection
from app.domain.events import Event, Kind
from app.domain.mail_policy import RESET_TOKEN_TTL_MINUTES
from app.domain.redaction import LOGIN_CODE_VALID_MINUTES
from app.messaging.message_encryption import MessageEncryption
from app.social.users import INVALID_TOKEN

log = logging.getLogger(__name__)
# Longer than the whole work takes, so that the time does not reveal whether the account exists.
MIN_RESPONSE_SECONDS = 0.3
RETRY_DELAYS_SECONDS = (0.5, 2.0, 8.0)
RESET_TOAST_TEXT = (
    "A password reset was requested for your account; how to go on is in the e-mail. If this was "
    "not you, do nothing."
)
"""Text of the toast: someone who sees an open screen must not be able to reset the password."""
INVALID_RESET_TOKEN = define_rejection("Invalid or expired reset token", "invalid_reset_token", 400)
INVALID_CODE = define_rejection("Invalid or expired code", "invalid_code", 400)
WRONG_CURRENT_PASSWORD = define_rejection("The current password is wrong", "wrong_password", 400)


class PasswordsAndOneTimeCodes:
    def __init__(self, services: AuthServices, one_time_tokens: OneTimeTokens, secret_key: str) -> None:
        self._services = services
        self._one_time_tokens = one_time_tokens
        self._hmac_key = secret_key.encode()
        self._encryption = MessageEncryption(secret_key)

    def change_password(self, claims: Claims, current_password: str, new_password: str) -> None:
        """Revokes all other sessions. Raises Rejected, RateLimited."""
        services = self._services
        user = services.users.find_account_by_id(claims.user_id)
        if user is None:
            raise INVALID_TOKEN
        services.rate_limits.count_password_attempt("password", user.id)
        if not services.password_hashing.verify(current_password, user.password_hash):
            raise WRONG_CURRENT_PASSWORD
        ended_session_ids = self._one_time_tokens.change_password_and_revoke_sessions(
            user.id,
            user.password_hash,
            services.password_hashing.hash(new_password),
            claims.session_id,
        )
        if ended_session_ids is None:
            raise WRONG_CURRENT_PASSWORD
        services.revocations.mark_sessions_revoked(ended_session_ids)
        self._try_send_security_alert(
            user.id, "Your password was changed. If this was not you, reset it now."
        )

    def request_password_reset(self, email: str, client_ip: str) -> None:
        """Takes the same time whether or not the account exists. Raises RateLimited."""
        email, started_at = email.lower(), time.monotonic()
        self._services.rate_limits.count_code_or_reset_request("reset", email, client_ip)
        user = self._services.users.find_account_by_email(email)
        if user:
            gevent.spawn(self._send_reset_token_with_retries, user.id)
        gevent.sleep(max(0.0, started_at + MIN_RESPONSE_SECONDS - time.monotonic()))

    def reset_password(self, token: str, new_password: str) -> None:
        """Revokes all sessions. Raises Rejected."""
        user_id = self._one_time_tokens.find_reset_token_owner(token)
        if user_id is None:
            raise INVALID_RESET_TOKEN
        ended_session_ids = self._one_time_tokens.reset_password_and_revoke_sessions(
            token, self._services.password_hashing.hash(new_password)
        )
        if ended_session_ids is None:
            raise INVALID_RESET_TOKEN
        self._services.revocations.mark_sessions_revoked(ended_session_ids)
        self._try_send_security_alert(user_id, "Your password was reset, and all your sessions were ended.")

    def request_one_time_code(self, user_id: str, client_ip: str) -> None:
        """Raises RateLimited, Unavailable."""
        self._services.rate_limits.count_code_or_reset_request("otp", user_id, client_ip)
        code = f"{secrets.randbelow(1_000_000):06d}"
        self._one_time_tokens.save_login_code(user_id, self._compute_code_hmac(user_id, code))
        message = f"Your code is {code}. It is good for {LOGIN_CODE_VALID_MINUTES} minutes."
        self._services.publish_event(self._build_event(Kind.OTP, user_id, message))

    def verify_one_time_code(self, user_id: str, code: str) -> None:
        """Raises Rejected."""
        if not self._one_time_tokens.verify_and_use_login_code(
            user_id, self._compute_code_hmac(user_id, code)
        ):
            raise INVALID_CODE

    def _send_reset_token_with_retries(self, user_id: str) -> None:
        """Runs in the background, so it is retried."""
        token = secrets.token_urlsafe(32)
        message = (
            f"A password reset was requested for your account: token={token} "
            f"It is good for {RESET_TOKEN_TTL_MINUTES} minutes. If this was not you, do nothing."
        )
        event = self._encryption.encrypt_body(
            self._build_event(Kind.PASSWORD_RESET, user_id, message), RESET_TOAST_TEXT
        )
        is_token_saved = False
        for delay_seconds in (*RETRY_DELAYS_SECONDS, None):
            try:
                if not is_token_saved:  # saving it again would clear the body of its message
                    self._one_time_tokens.save_reset_token(user_id, token)
                    is_token_saved = True
                self._services.publish_event(event)
                return
            except Unavailable as exc:
                log.warning(
                    "A password reset could not be sent: %s", exc, extra={"event": "password_reset_failed"}
                )
                if delay_seconds is not None:
                    gevent.sleep(delay_seconds)

    def _try_send_security_alert(self, user_id: str, message: str) -> None:
        """The change itself is done: a failed alert is logged and not raised."""
        alert_event = build_security_alert_event(self._services.new_id(), user_id, message)
        try:
            self._services.publish_event(alert_event)
        except Unavailable as exc:
            log.warning(
                "A security alert could not be sent: %s", exc, extra={"event": "security_alert_failed"}
            )

    def _build_event(self, kind: Kind, user_id: str, message: str) -> Event:
        return Event(self._services.new_id(), kind, user_id, message=message)

    def _compute_code_hmac(self, user_id: str, code: str) -> str:
        """Keyed, because a plain hash of six digits can be reversed by anyone who reads the table."""
        return hmac.new(self._hmac_key, f"otp:{user_id}:{code}".encode(), hashlib.sha256).hexdigest()
