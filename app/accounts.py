"""Accounts: registering and logging in, for the API and for the pages alike.

In    blueprints/auth.py, blueprints/session.py
Out   stores/users.py, passwords.py
"""

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.errors import Rejected
from app.passwords import Passwords
from app.stores.users import Account, NewUser, Users

WRONG = "Invalid email or password"


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody who registers says, already checked for form."""

    email: str
    username: str
    password: str
    name: str | None = None


class Accounts:
    def __init__(self, users: Users, passwords: Passwords, new_id: Callable[[], str]) -> None:
        self._users = users
        self._passwords = passwords
        self._new_id = new_id

    def register(self, wanted: Registration) -> Account:
        """Raises Rejected (409) when the address or the name is taken."""
        return self._users.create(
            NewUser(
                id=self._new_id(),
                email=wanted.email.lower(),
                username=wanted.username.lower(),
                name=(wanted.name or "").strip() or wanted.username,
                password_hash=self._passwords.hash(wanted.password),
            )
        )

    def log_in(self, email: str, password: str) -> Account:
        """Raises Rejected (401), in the same words and time whether or not the account exists."""
        account = self._users.by_email(email.lower())
        fits = self._passwords.fits(password, account.password_hash if account else None)
        if account is None or not fits:
            raise Rejected(WRONG, "wrong_credentials", 401)
        return account
