"""Accounts: registering, logging in and staying so, for the API and for the pages alike.

In    blueprints/auth.py, blueprints/sessions.py
Out   stores/users.py, stores/sessions.py, passwords.py; an alert for a log-in from a new place
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from app.devices import Device, Devices
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Event, Kind
from app.limits import Limits
from app.passwords import Passwords
from app.revocations import Revocations
from app.stores.sessions import Live, NewSession, Place, Sessions, Turn, digest
from app.stores.users import Account, NewUser, Users
from app.tokens import invalid

log = logging.getLogger(__name__)
WRONG = "Invalid email or password"
NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody who registers says, already checked for form."""

    email: str
    username: str
    password: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """What accounts and credentials work with."""

    users: Users
    sessions: Sessions
    passwords: Passwords
    revocations: Revocations
    limits: Limits
    devices: Devices
    raise_event: Callable[[Event], None]
    born: Callable[[str], None]
    new_id: Callable[[], str]
    refresh_days: float


@dataclass(frozen=True, slots=True)
class Signed:
    """Somebody who is in."""

    account: Account
    session_id: str
    refresh_token: str
    device: str
    """The cookie by which this device is known from now on."""


class Accounts:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def register(self, wanted: Registration, place: Place) -> Signed:
        """Raises Rejected (409) when the address or the name is taken, TooMany."""
        desk = self._desk
        desk.limits.register(place.address)
        made = desk.users.create(
            NewUser(
                id=desk.new_id(),
                email=wanted.email.lower(),
                username=wanted.username.lower(),
                name=(wanted.name or "").strip() or wanted.username,
                password_hash=desk.passwords.hash(wanted.password),
            )
        )
        try:
            desk.born(made.id)
        except Unavailable as fault:
            log.info("A new account's followers are not warm: %s", fault)
        desk.sessions.remember(made.id, place)
        return self._enter(made, place)

    def log_in(self, email: str, password: str, place: Place) -> Signed:
        """Raises Rejected (401), in the same words and time whether or not the account exists, and
        TooMany."""
        email, limits = email.lower(), self._desk.limits
        account = self._desk.users.by_email(email)
        device = self._known_device(account, place)
        limits.log_in(email, place.address, device)
        try:
            found = self._known(account, password)
        except Unavailable:
            limits.log_in_worked(email, place.address, device)
            raise
        limits.log_in_worked(email, place.address, device)
        self._greet(found.id, place)
        return self._enter(found, place)

    def refresh(self, token: str) -> tuple[Live, str]:
        """The session and its next refresh token. Raises Rejected (401)."""
        following = secrets.token_urlsafe(32)
        found = self._desk.sessions.rotate(token, following, self._desk.refresh_days)
        if isinstance(found, Live):
            return found, following
        if found is Turn.REUSED:
            stolen = self._desk.sessions.of_refresh_token(token)
            if stolen:
                self._desk.revocations.note([stolen.id])
                log.warning(
                    "A used refresh token came again: session %s of user %s ends",
                    stolen.id,
                    stolen.user_id,
                    extra={"action": "refresh_reuse", "user_id": stolen.user_id},
                )
        raise invalid()

    def log_out(self, user_id: str, session_id: str | None, refresh_token: str | None) -> None:
        """Ends the session of the access token, and that of the refresh token if it is theirs."""
        sessions = {session_id} if session_id else set()
        if refresh_token:
            found = self._desk.sessions.of_refresh_token(refresh_token)
            if found and found.user_id == user_id:
                sessions.add(found.id)
        for one in sessions:
            self._desk.sessions.end(one)
            self._desk.revocations.note([one])

    def log_out_all(self, user_id: str) -> None:
        self._desk.revocations.note(self._desk.sessions.end_all(user_id))

    def _known_device(self, account: Account | None, place: Place) -> str | None:
        """Its name among the counters of failures. The tables are asked alike whether or not there
        is such an account."""
        user_id = account.id if account else NOBODY
        device = self._desk.devices.of(place.device, user_id)
        if device:
            return device.id
        if self._desk.sessions.knows_browser(user_id, place):
            return digest(f"{place.agent.browser}|{place.network}")
        return None

    def _known(self, found: Account | None, password: str) -> Account:
        fits = self._desk.passwords.fits(password, found.password_hash if found else None)
        if found is None or not fits:
            raise Rejected(WRONG, "wrong_credentials", 401)
        return found

    def _enter(self, account: Account, place: Place) -> Signed:
        desk = self._desk
        known = desk.devices.of(place.device, account.id)
        agent = place.agent
        device = Device(known.id if known else desk.new_id(), agent.browser, agent.system)
        cookie = desk.devices.remembered(place.device, account.id, device)
        signed = Signed(account, desk.new_id(), secrets.token_urlsafe(32), cookie)
        desk.sessions.open(
            NewSession(
                signed.session_id, account.id, place, signed.refresh_token, desk.refresh_days
            )
        )
        return signed

    def _greet(self, user_id: str, place: Place) -> None:
        """An alert for a place that was never seen. First told, then remembered; the same place
        has the same event id, so a crash in between tells nobody twice. A known device that moved
        is no news, but its place is known from then on."""
        desk = self._desk
        if desk.sessions.knows(user_id, place):
            return
        device = desk.devices.of(place.device, user_id)
        if device and device.is_of(place.agent):
            desk.sessions.remember(user_id, place)
            return
        told = alert(
            str(uuid5(NAMESPACE_URL, f"place:{user_id}:{place.name}")),
            user_id,
            f"New log-in: {place.agent}, near {place.network}. "
            "If this was not you, change your password.",
        )
        try:
            self._desk.raise_event(told)
        except Unavailable as fault:
            # Not remembered either: the next log-in from there tells.
            log.warning("A log-in from a new place could not be told: %s", fault)
            return
        self._desk.sessions.remember(user_id, place)


def alert(event_id: str, user_id: str, message: str) -> Event:
    return Event(event_id, Kind.SECURITY_ALERT, user_id, message=message)
