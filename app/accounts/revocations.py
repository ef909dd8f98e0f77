"""Revocation cache: which sessions and accounts are revoked, kept in memory for checks on each request.

Input: app/accounts/sessions.py every ten seconds, and revocations of this process at once. Entries older than
the lifetime of an access token are dropped. While PostgreSQL is unavailable nothing new is read: tokens stay
valid for their remaining minutes, refreshing fails.
"""

import logging
import time
from collections.abc import Callable, Iterable

import gevent

from app.accounts.sessions import Sessions
from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
REFRESH_INTERVAL_SECONDS = 10.0
# Covers transactions that were still open at the last refresh.
OVERLAP_SECONDS = 30.0


class RevocationCache:
    def __init__(self, sessions: Sessions, access_minutes: float) -> None:
        self._sessions = sessions
        self._retention_seconds = access_minutes * 60 + OVERLAP_SECONDS
        self._session_ended_at: dict[str, float] = {}
        self._user_deleted_at: dict[str, float] = {}
        self._refreshed_at: float | None = None
        self._on_revoked: Callable[[], object] | None = None

    def is_session_or_user_revoked(self, session_id: str | None, user_id: str) -> bool:
        """Whether the session ended or the account was deleted. A token may have no session."""
        return session_id in self._session_ended_at or user_id in self._user_deleted_at

    def mark_sessions_revoked(self, session_ids: Iterable[str]) -> None:
        """For sessions revoked by this process: effective here at once, and their sockets are closed."""
        now = time.time()
        self._session_ended_at.update(dict.fromkeys(session_ids, now))
        if self._on_revoked is not None:
            gevent.spawn(self._on_revoked)

    def refresh(self) -> None:
        """Raises Unavailable."""
        started_at = time.monotonic()
        lookback_seconds = (
            self._retention_seconds
            if self._refreshed_at is None
            else started_at - self._refreshed_at + OVERLAP_SECONDS
        )
        revoked = self._sessions.list_recent_revocations(min(lookback_seconds, self._retention_seconds))
        self._refreshed_at = started_at
        self._session_ended_at |= revoked.revoked_sessions
        self._user_deleted_at |= revoked.removed_users
        oldest_kept_at = revoked.database_time - self._retention_seconds
        for revoked_at_by_id in (self._session_ended_at, self._user_deleted_at):
            for revoked_id in [
                entry_id for entry_id, revoked_at in revoked_at_by_id.items() if revoked_at < oldest_kept_at
            ]:
                del revoked_at_by_id[revoked_id]

    def start_refreshing(self, on_refreshed: Callable[[], object]) -> None:
        """Refreshes endlessly; calls `on_refreshed` after each refresh and each local revocation."""
        self._on_revoked = on_refreshed
        gevent.spawn(self._refresh_forever, on_refreshed)

    def _refresh_forever(self, on_refreshed: Callable[[], object]) -> None:
        while True:
            try:
                self.refresh()
                on_refreshed()
            except Unavailable as exc:
                log.warning(
                    "Revocations could not be refreshed: %s",
                    exc,
                    extra={"event": "revocation_refresh_failed"},
                )
            except Exception:  # one error must not end the loop
                log.exception("Refreshing revocations failed", extra={"event": "revocation_refresh_failed"})
            gevent.sleep(REFRESH_INTERVAL_SECONDS)
