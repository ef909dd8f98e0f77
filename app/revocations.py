"""Revocations: who may no longer come in, as this process knows it.

In    stores/sessions.py, every ten seconds; app/accounts.py at once, for what ended here
Out   one look into memory for each use of a token: a like pays no round trip for it

What ended longer ago than any access token lives is forgotten again. While PostgreSQL is away
nothing new is learned: access tokens go on for the minutes they have, refreshing does not.
"""

import logging
import time
from collections.abc import Callable, Iterable

import gevent

from app.domain.errors import Unavailable
from app.stores.sessions import Sessions

log = logging.getLogger(__name__)
EVERY_SECONDS = 10.0
# What was revoked in a transaction that was still open at the last look.
OVERLAP_SECONDS = 30.0


class Revocations:
    def __init__(self, sessions: Sessions, access_minutes: float) -> None:
        self._sessions = sessions
        self._keep = access_minutes * 60 + OVERLAP_SECONDS
        self._ended: dict[str, float] = {}
        self._gone: dict[str, float] = {}
        self._looked: float | None = None
        self._after: Callable[[], object] | None = None

    def over(self, session_id: str | None, user_id: str) -> bool:
        """Whether the session ended or the account is gone. A token may have no session."""
        return session_id in self._ended or user_id in self._gone

    def note(self, session_ids: Iterable[str]) -> None:
        """Ended by this process: known here before the answer is, and its sockets are told at
        once."""
        now = time.time()
        self._ended.update(dict.fromkeys(session_ids, now))
        if self._after is not None:
            gevent.spawn(self._after)

    def look(self) -> None:
        """Raises Unavailable."""
        began = time.monotonic()
        passed = self._keep if self._looked is None else began - self._looked + OVERLAP_SECONDS
        found = self._sessions.ended(min(passed, self._keep))
        self._looked = began
        self._ended |= found.sessions
        self._gone |= found.users
        oldest = found.now - self._keep
        for known in (self._ended, self._gone):
            for one in [one for one, at in known.items() if at < oldest]:
                del known[one]

    def start(self, after: Callable[[], object]) -> None:
        """Looks for ever; `after` each look, and whatever ends here, the sockets are swept."""
        self._after = after
        gevent.spawn(self._look_for_ever, after)

    def _look_for_ever(self, after: Callable[[], object]) -> None:
        while True:
            try:
                self.look()
                after()
            except Unavailable as fault:
                log.warning("Revocations are not fresh: %s", fault)
            except Exception:  # one bad look must not end all others
                log.exception("A look at revocations failed")
            gevent.sleep(EVERY_SECONDS)
