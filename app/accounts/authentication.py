"""Registration, log-in, refresh and log-out, for the API and the pages.

Input: blueprints/api/auth.py, blueprints/pages/login_pages.py. Output: app/social/users.py, sessions, and a
security alert for a log-in from a new device.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from app.accounts.known_devices import KnownDevice, KnownDeviceCookies
from app.accounts.passwords import PasswordHashing
from app.accounts.rate_limits import RateLimits
from app.accounts.revocations import RevocationCache
from app.accounts.sessions import (
    ActiveSession,
    ClientDevice,
    RefreshTokenFailureReason,
    Sessions,
    hash_token,
)
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Event, Kind
from app.social.users import INVALID_TOKEN, Account, NewUser, Users

log = logging.getLogger(__name__)
WRONG_CREDENTIALS_MESSAGE = "Invalid email or password"
NIL_USER_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Registration:
    """The fields of a registration, already validated."""

    email: str
    username: str
    password: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AuthServices:
    """Collaborators of AccountAuthentication and PasswordsAndOneTimeCodes."""

    users: Users
    sessions: Sessions
    password_hashing: PasswordHashing
    revocations: RevocationCache
    rate_limits: RateLimits
    known_devices: KnownDeviceCookies
    publish_event: Callable[[Event], None]
    on_user_created: Callable[[str], None]
    new_id: Callable[[], str]
    refresh_token_days: float


@dataclass(frozen=True, slots=True)
class AuthenticatedSession:
    """The result of a log-in or registration."""

    account: Account
    session_id: str
    refresh_token: str
    device_cookie: str
    """New value of the known-device cookie."""


class AccountAuthentication:
    def __init__(self, services: AuthServices) -> None:
        self._services = services

    def register(self, registration: Registration, client_device: ClientDevice) -> AuthenticatedSession:
        """Raises Rejected (409) when the address or the user name is taken, RateLimited."""
        services = self._services
        services.rate_limits.count_registration(client_device.ip_address)
        account = services.users.create(
            NewUser(
                id=services.new_id(),
                email=registration.email.lower(),
                username=registration.username.lower(),
                name=(registration.name or "").strip() or registration.username,
                password_hash=services.password_hashing.hash(registration.password),
            )
        )
        try:
            services.on_user_created(account.id)
        except Unavailable as exc:
            log.info(
                "The follower cache of a new account was not initialized: %s",
                exc,
                extra={"event": "cache_init_failed"},
            )
        return self.open_session_without_password(account, client_device)

    def open_session_without_password(
        self, account: Account, client_device: ClientDevice
    ) -> AuthenticatedSession:
        """For a new account, and for the demo. The device counts as known: later log-ins from it cause no
        alert."""
        self._services.sessions.remember_device(account.id, client_device)
        return self._open_session(account, client_device)

    def log_in(self, email: str, password: str, client_device: ClientDevice) -> AuthenticatedSession:
        """Raises Rejected (401), with the same message after the same time whether or not the account
        exists, and RateLimited."""
        email, rate_limits = email.lower(), self._services.rate_limits
        account = self._services.users.find_account_by_email(email)
        device_key = self._known_device_rate_limit_key(account, client_device)
        rate_limits.count_login_attempt(email, client_device.ip_address, device_key)
        try:
            authenticated = self._verify_password_or_raise(account, password)
        except Unavailable:
            rate_limits.refund_login_attempt(email, client_device.ip_address, device_key)
            raise
        rate_limits.refund_login_attempt(email, client_device.ip_address, device_key)
        self._alert_and_remember_new_device(authenticated.id, client_device)
        return self._open_session(authenticated, client_device)

    def refresh_session(self, refresh_token: str) -> tuple[ActiveSession, str]:
        """The session and its next refresh token. Raises Rejected (401)."""
        next_refresh_token = secrets.token_urlsafe(32)
        rotation = self._services.sessions.rotate_refresh_token(
            refresh_token, next_refresh_token, self._services.refresh_token_days
        )
        if isinstance(rotation, ActiveSession):
            return rotation, next_refresh_token
        if rotation is RefreshTokenFailureReason.REUSED:
            reused_session = self._services.sessions.find_by_refresh_token(refresh_token)
            if reused_session:
                self._services.revocations.mark_sessions_revoked([reused_session.id])
                log.warning(
                    "A refresh token was used twice: session %s of user %s is revoked",
                    reused_session.id,
                    reused_session.user_id,
                    extra={
                        "event": "refresh_token_reused",
                        "action": "refresh_reuse",
                        "user_id": reused_session.user_id,
                    },
                )
        raise INVALID_TOKEN

    def log_out(self, user_id: str, session_id: str | None, refresh_token: str | None) -> None:
        """Revokes the session of the access token, and that of the refresh token if it is the user's."""
        ended_session_ids = {session_id} if session_id else set()
        if refresh_token:
            session = self._services.sessions.find_by_refresh_token(refresh_token)
            if session and session.user_id == user_id:
                ended_session_ids.add(session.id)
        for ended_session_id in ended_session_ids:
            self._services.sessions.revoke(ended_session_id)
            self._services.revocations.mark_sessions_revoked([ended_session_id])

    def log_out_all_sessions(self, user_id: str) -> None:
        self._services.revocations.mark_sessions_revoked(self._services.sessions.revoke_all(user_id))

    def _known_device_rate_limit_key(
        self, account: Account | None, client_device: ClientDevice
    ) -> str | None:
        """The device's key in the rate limits; None for an unknown device. Makes the same queries whether
        or not the account exists."""
        user_id = account.id if account else NIL_USER_ID
        known_device = self._services.known_devices.find_device(client_device.device_cookie, user_id)
        if known_device:
            return known_device.id
        if self._services.sessions.is_known_browser_in_network(user_id, client_device):
            return hash_token(f"{client_device.parsed_user_agent.browser}|{client_device.network}")
        return None

    def _verify_password_or_raise(self, account: Account | None, password: str) -> Account:
        is_correct = self._services.password_hashing.verify(
            password, account.password_hash if account else None
        )
        if account is None or not is_correct:
            raise Rejected(WRONG_CREDENTIALS_MESSAGE, "wrong_credentials", 401)
        return account

    def _open_session(self, account: Account, client_device: ClientDevice) -> AuthenticatedSession:
        services = self._services
        known_device = services.known_devices.find_device(client_device.device_cookie, account.id)
        user_agent = client_device.parsed_user_agent
        device = KnownDevice(
            known_device.id if known_device else services.new_id(),
            user_agent.browser,
            user_agent.operating_system,
        )
        cookie = services.known_devices.build_cookie_with_device(
            client_device.device_cookie, account.id, device
        )
        authenticated_session = AuthenticatedSession(
            account, services.new_id(), secrets.token_urlsafe(32), cookie
        )
        services.sessions.create(
            ActiveSession(authenticated_session.session_id, account.id),
            client_device,
            authenticated_session.refresh_token,
            services.refresh_token_days,
        )
        return authenticated_session

    def _alert_and_remember_new_device(self, user_id: str, client_device: ClientDevice) -> None:
        """Sends an alert for a device and network not seen before. It is remembered after the alert; the
        event id depends on both, so a crash in between causes no second alert. A known device in a
        new network is remembered without an alert."""
        services = self._services
        if services.sessions.is_known_device_and_network(user_id, client_device):
            return
        known_device = services.known_devices.find_device(client_device.device_cookie, user_id)
        if known_device and known_device.is_same_browser(client_device.parsed_user_agent):
            services.sessions.remember_device(user_id, client_device)
            return
        alert_event = build_security_alert_event(
            str(uuid5(NAMESPACE_URL, f"place:{user_id}:{client_device.fingerprint}")),
            user_id,
            f"New log-in: {client_device.parsed_user_agent}, near {client_device.network}. "
            "If this was not you, change your password.",
        )
        try:
            self._services.publish_event(alert_event)
        except Unavailable as exc:
            # Not remembered either, so the next log-in from there sends the alert.
            log.warning(
                "The alert for a log-in from a new device was not sent: %s",
                exc,
                extra={"event": "login_alert_failed"},
            )
            return
        self._services.sessions.remember_device(user_id, client_device)


def build_security_alert_event(event_id: str, user_id: str, message: str) -> Event:
    return Event(event_id, Kind.SECURITY_ALERT, user_id, message=message)
