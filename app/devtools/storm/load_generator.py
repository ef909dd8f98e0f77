"""The load generator: sends prepared HTTP requests at a fixed rate, in a process of its own.

`python -m app.devtools.storm.load_generator`, started by load_process.py. One JSON object on stdin says what
to send (LoadPlan); the end of stdin stops it, once the requests under way have responses. On stdout a report
once a second, and one at the end.

Each request has a scheduled time. Its latency counts from there, so that a server that is too slow for the
rate does not hide the wait of the requests that could not be sent yet. Only accepted requests have a latency:
a refusal may be faster than any success. One thread, raw sockets and one epoll; bounded in time
(`deadline_seconds`), connections and memory.
"""

import json
import os
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from app.devtools.checker.request_log import (
    ACKNOWLEDGED,
    ENTRY_TYPE_FIELD,
    REFUSED,
    UNKNOWN_OUTCOME,
    outcome_of_status,
)
from app.devtools.storm.load_connection import LoadConnection, PreparedRequest, ResponseIncomplete

REPORT_INTERVAL_SECONDS = 1.0
RESPONSE_TIMEOUT_SECONDS = 10.0
"""Far above the guaranteed response time: slow responses are measured rather than cut off."""
RECONNECT_DELAY_SECONDS = 0.2
LOG_BUFFER_BYTES = 1 << 16


@dataclass(frozen=True)
class LoadPlan:
    host: str
    port: int
    rate: float
    """Requests per second."""
    connection_count: int
    deadline_seconds: float
    """After this nothing is sent any more, also if requests of the plan are left."""
    requests: list[PreparedRequest]
    repeats: bool = False
    """Send the requests again and again until the deadline."""
    log_path: str = ""
    """Of the request log; empty: there is none."""


@dataclass
class LoadTotals:
    offered: int = 0
    """Requests whose scheduled time has come."""
    sent: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    """Of accepted requests."""
    answered: int = 0
    """Those that got a response, whatever it says."""
    last_answer_seconds: float = 0.0
    """Since the start."""

    def add(self, outcome: str, status: int, latency_ms: float, at_seconds: float) -> None:
        """`status` 0: there was no response."""
        self.outcomes[outcome] += 1
        if outcome == ACKNOWLEDGED:
            self.latencies_ms.append(latency_ms)
        if status:
            self.answered += 1
            self.last_answer_seconds = at_seconds

    def report(self, recent_latencies_ms: list[float]) -> dict[str, Any]:
        return {
            "offered": self.offered,
            "sent": self.sent,
            "answered": self.answered,
            "accepted": self.outcomes[ACKNOWLEDGED],
            "unknown": self.outcomes[UNKNOWN_OUTCOME],
            "refused": self.outcomes.total() - self.outcomes[ACKNOWLEDGED] - self.outcomes[UNKNOWN_OUTCOME],
            "p50Ms": percentile(recent_latencies_ms, 50),
            "p99Ms": percentile(recent_latencies_ms, 99),
        }


class LoadGenerator:
    def __init__(
        self,
        plan: LoadPlan,
        is_stopped: Callable[[], bool],
        send_report: Callable[[dict[str, Any]], None],
        log: TextIO | None = None,
    ) -> None:
        """`log`: where requests and responses are logged (app/devtools/checker/request_log.py)."""
        self._plan = plan
        self._is_stopped = is_stopped
        self._send_report = send_report
        self._totals = LoadTotals()
        self._reported_count = 0
        self._log = log
        self._epoll = select.epoll()
        self._idle = [LoadConnection(plan.host, plan.port) for _ in range(plan.connection_count)]
        self._busy: dict[int, LoadConnection] = {}
        self._not_before = 0.0
        """No new connection before this time: the server refused one."""
        self._started_at = time.monotonic()

    def run(self) -> None:
        schedule = _iter_schedule(self._plan, self._started_at)
        upcoming = next(schedule, None)
        deadline, next_report_at = self._started_at + self._plan.deadline_seconds, self._started_at
        while upcoming is not None or self._busy:
            now = time.monotonic()
            if now >= next_report_at:
                self._report(now)
                self._expire_busy(now)
                next_report_at = now + REPORT_INTERVAL_SECONDS
            if now >= deadline or self._is_stopped():
                upcoming = None
            while upcoming is not None and upcoming[0] <= now and self._idle and now >= self._not_before:
                self._send(*upcoming)
                upcoming = next(schedule, None)
            self._receive(self._wait_seconds(upcoming, next_report_at))
        self._finish()

    def _wait_seconds(self, upcoming: tuple[float, int, PreparedRequest] | None, until: float) -> float:
        if upcoming is not None and self._idle:
            until = min(until, max(upcoming[0], self._not_before))
        return max(0.0, until - time.monotonic())

    def _send(self, scheduled_at: float, number: int, request: PreparedRequest) -> None:
        connection = self._idle.pop()
        self._totals.sent += 1
        connection.begin(scheduled_at, number, request)
        self._log_entry("request", self._request_fields(number, request))
        try:
            is_new = connection.connect_if_closed()
        except OSError:
            self._not_before = time.monotonic() + RECONNECT_DELAY_SECONDS
            self._end(connection, REFUSED, 0)
            return
        if is_new:
            self._epoll.register(connection.fileno(), select.EPOLLIN)
        self._busy[connection.fileno()] = connection
        try:
            connection.send()
        except OSError:
            self._fail(connection)

    def _receive(self, wait_seconds: float) -> None:
        for fd, _ in self._epoll.poll(wait_seconds):
            connection = self._busy.get(fd)
            if connection is None:  # the server closed an idle connection
                self._close_idle_connection(fd)
                continue
            try:
                status = connection.read_status()
            except ResponseIncomplete:
                continue
            except OSError:
                self._fail(connection)
                continue
            del self._busy[fd]
            if connection.is_last_response:
                self._epoll.unregister(fd)
                connection.close()
            self._end(connection, outcome_of_status(status), status)

    def _close_idle_connection(self, fd: int) -> None:
        for connection in self._idle:
            if connection.fileno() == fd:
                self._epoll.unregister(fd)
                connection.close()

    def _fail(self, connection: LoadConnection) -> None:
        """The request was sent and has no response."""
        fd = connection.fileno()
        del self._busy[fd]
        self._epoll.unregister(fd)
        connection.close()
        self._end(connection, UNKNOWN_OUTCOME, 0)

    def _end(self, connection: LoadConnection, outcome: str, status: int) -> None:
        """`status` 0: there was no response."""
        now = time.monotonic()
        self._totals.add(outcome, status, (now - connection.scheduled_at) * 1000, now - self._started_at)
        fields = {"operation_id": connection.number, "attempt_number": 1, "answered_at": time.time()}
        self._log_entry("response", fields | {"outcome": outcome, "status": status})
        self._idle.append(connection)

    def _expire_busy(self, now: float) -> None:
        for connection in list(self._busy.values()):
            if now - connection.sent_at > RESPONSE_TIMEOUT_SECONDS:
                self._fail(connection)

    def _count_offered(self, now: float) -> None:
        elapsed_seconds = min(now - self._started_at, self._plan.deadline_seconds)
        due = int(elapsed_seconds * self._plan.rate) + 1
        self._totals.offered = due if self._plan.repeats else min(due, len(self._plan.requests))

    def _report(self, now: float) -> None:
        self._count_offered(now)
        recent = self._totals.latencies_ms[self._reported_count :]
        self._reported_count = len(self._totals.latencies_ms)
        self._send_report(self._totals.report(recent))

    def _finish(self) -> None:
        self._count_offered(time.monotonic())
        self._send_report(
            self._totals.report(self._totals.latencies_ms)
            | {"isFinal": True, "seconds": round(self._totals.last_answer_seconds, 3)}
        )

    def _request_fields(self, number: int, request: PreparedRequest) -> dict[str, Any]:
        return {
            "operation_id": number,
            "attempt_number": 1,
            "request_kind": request.kind,
            "actor_id": request.actor_id,
            "object_id": request.object_id,
            "sent_at": time.time(),
        }

    def _log_entry(self, entry_type: str, fields: dict[str, Any]) -> None:
        if self._log:
            self._log.write(json.dumps({ENTRY_TYPE_FIELD: entry_type} | fields) + "\n")


def percentile(values: list[float], percent: int) -> float | None:
    """By rank; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 2)


def _iter_schedule(plan: LoadPlan, started_at: float) -> Iterator[tuple[float, int, PreparedRequest]]:
    """Scheduled time, number and request."""
    number = 0
    while plan.requests:
        for request in plan.requests:
            yield started_at + number / plan.rate, number, request
            number += 1
        if not plan.repeats:
            return


def _stdin_ended() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(readable)


def main() -> None:
    fields: dict[str, Any] = json.loads(sys.stdin.readline())
    requests = [PreparedRequest(*values) for values in fields.pop("requests")]
    plan = LoadPlan(requests=requests, **fields)

    def send_report(report: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()

    with Path(plan.log_path or os.devnull).open("w", LOG_BUFFER_BYTES) as log:
        LoadGenerator(plan, _stdin_ended, send_report, log if plan.log_path else None).run()


if __name__ == "__main__":
    main()
