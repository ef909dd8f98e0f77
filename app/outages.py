"""Outages in the log: a line when one begins, one a minute while it lasts, one when it is over.

In    app/breakers.py: calls that failed or passed, probes; app/logs.py: log records about a service
Out   log lines; what they leave out is counted in them, and is logged in full at level DEBUG

An outage is over when the service has answered and nothing has failed for QUIET_SECONDS since: one
of three brokers that is away fails some calls while others pass. Where nothing tells of an answer,
IDLE_SECONDS without a failure have to do.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent

log = logging.getLogger(__name__)
LINE_SECONDS = 60.0
QUIET_SECONDS = 5.0
IDLE_SECONDS = 60.0
LOOK_SECONDS = 1.0
MAX_KINDS = 50
"""Failures are counted by kind; what comes after so many kinds is counted as OTHER."""
SHOWN_KINDS = 5
OTHER = "other"


class Outage:
    """Of one service, in this process. `begins` is called when an outage begins."""

    def __init__(
        self,
        name: str,
        begins: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._begins = begins
        self._now = now
        self.forget()

    def forget(self) -> None:
        """As if there had been none. Nothing is logged."""
        self.ongoing = False
        self._kinds: Counter[str] = Counter()
        self._began = self._failed = self._line = 0.0
        self._answered: float | None = None

    def failed(self, reason: str, kind: str = "", exc_info: Any = None) -> None:
        """`kind`: what failures of the same sort have in common, such as a log message without its
        arguments. A traceback is logged once per kind, however long the outage lasts."""
        kind = kind or reason
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind = OTHER
        if not self.ongoing:
            self._begin(reason, exc_info)
        elif exc_info and kind not in self._kinds:
            log.warning("Outage goes on [%s]: %s", self.name, reason, exc_info=exc_info)
        self._kinds[kind] += 1
        self._failed = self._now()
        self._answered = None

    def answered(self) -> None:
        if self.ongoing and self._answered is None:
            self._answered = self._now()

    def look(self) -> None:
        """Writes the line that is due, if any."""
        if not self.ongoing:
            return
        now = self._now()
        quiet = QUIET_SECONDS if self._answered is not None else IDLE_SECONDS
        if now - self._failed >= quiet:
            self._end()
        elif now - self._line >= LINE_SECONDS:
            self._line = now
            log.warning("Outage goes on [%s]: %s", self.name, self._summary(now))

    def _begin(self, reason: str, exc_info: Any) -> None:
        self.forget()
        self.ongoing = True
        self._began = self._line = self._now()
        log.warning("Outage begins [%s]: %s", self.name, reason, exc_info=exc_info)
        gevent.spawn(self._watch)
        self._begins()

    def _end(self) -> None:
        until = self._failed if self._answered is None else self._answered
        log.warning("Outage is over [%s]: %s", self.name, self._summary(until))
        self.forget()

    def _summary(self, until: float) -> str:
        kinds = self._kinds.most_common(SHOWN_KINDS)
        most = ", ".join(f"{count} x {kind}" for kind, count in kinds)
        more = " ..." if len(self._kinds) > SHOWN_KINDS else ""
        return f"{until - self._began:.0f} s, {self._kinds.total()} failures: {most}{more}"

    def _watch(self) -> None:
        while self.ongoing:
            gevent.sleep(LOOK_SECONDS)
            self.look()
