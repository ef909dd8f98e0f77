"""Passwords: argon2id, off the hub and never more than a few at once.

In    app/accounts.py, blueprints/simulate.py
Out   a hash, or whether a password fits one
"""

from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from app.domain.errors import Unavailable
from app.domain.text import TextError, opaque_password

T = TypeVar("T")
# OWASP's second recommendation: 19 MiB, two passes. More memory would let a burst of log-ins crowd
# out everything else on a small machine.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
THREADS = 2
WAITING = 64


class Passwords:
    """Hashing in threads of its own: DNS look-ups share gevent's, and must not wait for log-ins."""

    def __init__(self) -> None:
        self._pool: ThreadPool | None = None
        self._places = BoundedSemaphore(WAITING)
        self._decoy: str | None = None

    def hash(self, password: str) -> str:
        """Raises TextError for a password that RFC 8265 does not allow."""
        prepared = opaque_password(password)
        return self._away(lambda: str(_HASHER.hash(prepared)))

    def fits(self, password: str, known: str | None) -> bool:
        """Whether the password fits; as slow for an account that does not exist."""
        if self._decoy is None:
            self._decoy = self.hash("nobody has this password")
        against = known or self._decoy
        prepared = _prepared(password)
        return self._away(lambda: _matches(against, prepared)) and bool(known)

    def _away(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise Unavailable("Too many people are logging in; try again soon", "busy")
        try:
            # Made at first use: a thread pool belongs to the hub of the process that runs it.
            if self._pool is None:
                self._pool = ThreadPool(THREADS)
            result: T = self._pool.apply(work)
            return result
        finally:
            self._places.release()


def _prepared(password: str) -> str:
    """The form that is hashed; empty, as no password is, for what cannot be one."""
    try:
        return opaque_password(password)
    except TextError:
        return ""


def _matches(known: str, password: str) -> bool:
    try:
        return bool(_HASHER.verify(known, password))
    except (VerificationError, InvalidHashError):
        return False
