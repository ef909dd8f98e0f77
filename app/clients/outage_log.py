"""Logs outages: a line when one begins, one a minute while it lasts, one when it is over.

Failures and successes come from app/clients/circuit_breaker.py, log records about a service from
app/log_config.py. The lines contain the number of suppressed failures; at level DEBUG each is logged.

An outage is over when a call has succeeded and none has failed for RECOVERED_AFTER_SECONDS: while one of
three brokers is unavailable, some calls fail and others succeed. Without any reported success it is over
after ASSUMED_OVER_AFTER_SECONDS without a failure.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent

log = logging.getLogger(__name__)
LOG_INTERVAL_SECONDS = 60.0
RECOVERED_AFTER_SECONDS = 5.0
ASSUMED_OVER_AFTER_SECONDS = 60.0
CHECK_INTERVAL_SECONDS = 1.0
MAX_FAILURE_KINDS = 50
"""Failures are counted by kind; those of further kinds are counted as OTHER_KIND."""
MAX_LOGGED_KINDS = 5
OTHER_KIND = "other"


class Outage:
    """The outage of one service in this process. `on_begin` is called when one begins."""

    def __init__(
        self,
        name: str,
        on_begin: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._on_begin = on_begin
        self._now = now
        self.reset()

    def reset(self) -> None:
        """Forgets the outage without logging."""
        self.is_ongoing = False
        self._count_by_kind: Counter[str] = Counter()
        self._began_at = self._last_failure_at = self._last_logged_at = 0.0
        self._answered_at: float | None = None

    def record_failure(self, reason: str, kind: str = "", exc_info: Any = None) -> None:
        """`kind` is the same for similar failures, such as a log message without its arguments. A traceback
        is logged once per kind and outage."""
        kind = kind or reason
        if kind not in self._count_by_kind and len(self._count_by_kind) >= MAX_FAILURE_KINDS:
            kind = OTHER_KIND
        if not self.is_ongoing:
            self._begin_and_log(reason, exc_info)
        elif exc_info and kind not in self._count_by_kind:
            log.warning(
                "Outage goes on [%s]: %s",
                self.name,
                reason,
                exc_info=exc_info,
                extra=self._log_fields("outage_ongoing"),
            )
        self._count_by_kind[kind] += 1
        self._last_failure_at = self._now()
        self._answered_at = None

    def record_success(self) -> None:
        if self.is_ongoing and self._answered_at is None:
            self._answered_at = self._now()

    def log_progress(self) -> None:
        """Writes the line that is due, if any."""
        if not self.is_ongoing:
            return
        now = self._now()
        quiet_seconds = (
            RECOVERED_AFTER_SECONDS if self._answered_at is not None else ASSUMED_OVER_AFTER_SECONDS
        )
        if now - self._last_failure_at >= quiet_seconds:
            self._end_and_log()
        elif now - self._last_logged_at >= LOG_INTERVAL_SECONDS:
            self._last_logged_at = now
            log.warning(
                "Outage goes on [%s]: %s",
                self.name,
                self._failure_summary(now),
                extra=self._log_fields("outage_ongoing"),
            )

    def _begin_and_log(self, reason: str, exc_info: Any) -> None:
        self.reset()
        self.is_ongoing = True
        self._began_at = self._last_logged_at = self._now()
        log.warning(
            "Outage begins [%s]: %s",
            self.name,
            reason,
            exc_info=exc_info,
            extra=self._log_fields("outage_began"),
        )
        gevent.spawn(self._log_until_over)
        self._on_begin()

    def _end_and_log(self) -> None:
        until = self._last_failure_at if self._answered_at is None else self._answered_at
        log.warning(
            "Outage is over [%s]: %s",
            self.name,
            self._failure_summary(until),
            extra=self._log_fields("outage_ended"),
        )
        self.reset()

    def _log_fields(self, event: str) -> dict[str, str]:
        return {"event": event, "service": self.name}

    def _failure_summary(self, until: float) -> str:
        kinds = self._count_by_kind.most_common(MAX_LOGGED_KINDS)
        top_kinds = ", ".join(f"{count} x {kind}" for kind, count in kinds)
        ellipsis = " ..." if len(self._count_by_kind) > MAX_LOGGED_KINDS else ""
        return (
            f"{until - self._began_at:.0f} s, {self._count_by_kind.total()} failures: {top_kinds}{ellipsis}"
        )

    def _log_until_over(self) -> None:
        while self.is_ongoing:
            gevent.sleep(CHECK_INTERVAL_SECONDS)
            self.log_progress()
