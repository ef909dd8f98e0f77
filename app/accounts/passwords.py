"""Password hashing with argon2id, in threads, a few at a time.

Used by app/accounts/authentication.py and blueprints/testing/simulator.py.
"""

from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from app.domain.errors import Unavailable
from app.domain.text import InvalidText, normalize_password

Result = TypeVar("Result")
# OWASP's second recommendation: 19 MiB, two passes. With more memory a burst of log-ins could exhaust a
# small machine.
_ARGON2 = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
MAX_HASH_THREADS = 2
MAX_PENDING_HASHES = 64


class PasswordHashing:
    """Uses a thread pool of its own: DNS look-ups use gevent's and must not wait for log-ins."""

    def __init__(self) -> None:
        self._thread_pool: ThreadPool | None = None
        self._slots = BoundedSemaphore(MAX_PENDING_HASHES)
        self._dummy_hash: str | None = None

    def hash(self, password: str) -> str:
        """Raises InvalidText for a password that RFC 8265 does not allow."""
        prepared = normalize_password(password)
        return self._run_in_thread(lambda: str(_ARGON2.hash(prepared)))

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password matches; takes as long for an account that does not exist."""
        if self._dummy_hash is None:
            self._dummy_hash = self.hash("a password of no account")
        compared_hash = password_hash or self._dummy_hash
        prepared = _normalize_or_empty(password)
        return self._run_in_thread(lambda: _is_matching_hash(compared_hash, prepared)) and bool(password_hash)

    def _run_in_thread(self, work: Callable[[], Result]) -> Result:
        if not self._slots.acquire(blocking=False):
            raise Unavailable("Too many log-ins at once, please retry", "busy")
        try:
            # Created on first use, because a thread pool belongs to the hub of its process.
            if self._thread_pool is None:
                self._thread_pool = ThreadPool(MAX_HASH_THREADS)
            result: Result = self._thread_pool.apply(work)
            return result
        finally:
            self._slots.release()


def _normalize_or_empty(password: str) -> str:
    """The normalized form; empty, which is never valid, for text that cannot be a password."""
    try:
        return normalize_password(password)
    except InvalidText:
        return ""


def _is_matching_hash(password_hash: str, password: str) -> bool:
    try:
        return bool(_ARGON2.verify(password_hash, password))
    except (VerificationError, InvalidHashError):
        return False
