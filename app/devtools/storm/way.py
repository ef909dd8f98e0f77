"""One way of a storm: offers the load beside a reader, waits until all rows are written, and measures both.

A service that is stopped or frozen meanwhile makes figures of that time unknown, but ends nothing.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from app.devtools.storm.count_sampler import CountSampler
from app.devtools.storm.drain import Drain
from app.devtools.storm.figures import reader_figures, way_figures
from app.devtools.storm.ledger import Ledger, WrittenCounts
from app.devtools.storm.load_connection import PreparedRequest
from app.devtools.storm.load_generator import LoadPlan
from app.devtools.storm.load_process import LoadProcess
from app.devtools.storm.measurements import STATISTICS_DELAY_SECONDS, LockWaitSampler, read_counters
from app.devtools.storm.options import StormOptions
from app.devtools.storm.storms import StormFolder

CONNECTION_COUNT, READER_CONNECTION_COUNT = 64, 4
READS_PER_SECOND = 20.0
MAX_LATE_SECONDS = 30.0
"""How long after the last scheduled time requests are still sent."""
LOAD_START_TIMEOUT_SECONDS = 30.0
MAX_DRAIN_SECONDS = 300.0
"""How long to wait for the rows beyond the time of a window: somebody may have stopped a service."""
SAMPLE_INTERVAL_SECONDS = 1.0
Progress = Callable[[dict[str, Any]], None]
"""Called with each sample; raises when the storm is cancelled."""
Pause = Callable[[float], None]
"""Waits so many seconds; raises when the storm is cancelled."""


@dataclass(frozen=True)
class ServerAddress:
    host: str
    port: int


@dataclass
class Samplers:
    """What runs beside the load."""

    load: LoadProcess
    reader: LoadProcess
    """Another one after the load."""
    counts: CountSampler
    locks: LockWaitSampler


@dataclass
class StormWay:
    name: str
    options: StormOptions
    server: ServerAddress
    drain: Drain
    folder: StormFolder
    max_window_seconds: float
    report_progress: Progress
    pause: Pause
    _started_at: float = field(default=0.0, init=False)
    _written_after_seconds: float | None = field(default=None, init=False)

    def run(self, requests: Sequence[PreparedRequest], feed_request: PreparedRequest) -> dict[str, Any]:
        """Figures, ledger and messages. Nobody else used the database for STATISTICS_DELAY_SECONDS. Raises
        Unavailable when the stores cannot be read at the end, and RuntimeError when a load generator
        failed."""
        stores = self.drain.stores
        counters_before = read_counters(stores.engine)
        with ExitStack() as stack:
            samplers = self._start_samplers(stack, requests, feed_request)
            self._wait_until_load_started(samplers.load)
            while samplers.load.is_running:
                self._sample(samplers)
            load_report, reader_report = samplers.load.stop(), samplers.reader.stop()
            samplers.reader = self._start_process(stack, self._reader_plan(feed_request))
            self._wait_until_written(samplers, load_report)
            drain_reader_report, lock_figures = samplers.reader.stop(), samplers.locks.stop()
        self.pause(STATISTICS_DELAY_SECONDS)
        counters = read_counters(stores.engine).since(counters_before, samplers.locks.transaction_count)
        ledger = stores.check(self.folder.request_log_path)
        message_count, messages = stores.read_messages() if stores.announces else (0, [])
        figures = way_figures(self.options, load_report, counters) | lock_figures
        figures |= reader_figures(reader_report, drain_reader_report)
        figures["secondsUntilWritten"] = self._seconds_until_written(load_report)
        return {
            "figures": figures,
            "ledger": ledger.to_dict(),
            "messageCount": message_count,
            "messages": messages,
        }

    def _start_samplers(
        self, stack: ExitStack, requests: Sequence[PreparedRequest], feed_request: PreparedRequest
    ) -> Samplers:
        """`stack` stops each of them, also those that started before one that could not."""
        load = self._start_process(stack, self._load_plan(requests))
        reader = self._start_process(stack, self._reader_plan(feed_request))
        counts = CountSampler(self.drain.stores)
        stack.callback(counts.stop)
        locks = LockWaitSampler(self.drain.stores.engine)
        stack.callback(locks.stop)
        return Samplers(load, reader, counts, locks)

    @staticmethod
    def _start_process(stack: ExitStack, plan: LoadPlan) -> LoadProcess:
        process = LoadProcess(plan)
        stack.callback(process.close)
        return process

    def _wait_until_load_started(self, load: LoadProcess) -> None:
        """It reports for the first time when it sends the first request."""
        deadline = time.monotonic() + LOAD_START_TIMEOUT_SECONDS
        while not load.report and load.is_running and time.monotonic() < deadline:
            time.sleep(0.02)
        self._started_at = time.monotonic()

    def _load_plan(self, requests: Sequence[PreparedRequest]) -> LoadPlan:
        return LoadPlan(
            self.server.host,
            self.server.port,
            self.options.rate,
            CONNECTION_COUNT,
            self.options.offer_seconds + MAX_LATE_SECONDS,
            list(requests),
            log_path=str(self.folder.request_log_path),
        )

    def _reader_plan(self, feed_request: PreparedRequest) -> LoadPlan:
        """Reads until it is stopped."""
        max_seconds = self.options.offer_seconds + MAX_LATE_SECONDS + self._max_drain_seconds
        return LoadPlan(
            self.server.host,
            self.server.port,
            READS_PER_SECOND,
            READER_CONNECTION_COUNT,
            max_seconds,
            [feed_request],
            repeats=True,
        )

    @property
    def _max_drain_seconds(self) -> float:
        return MAX_DRAIN_SECONDS + self.max_window_seconds

    def _wait_until_written(self, samplers: Samplers, load_report: dict[str, Any]) -> None:
        deadline = time.monotonic() + self._max_drain_seconds
        while time.monotonic() < deadline:
            counts = self._sample(samplers)
            if counts is not None and self.drain.is_complete(counts, load_report):
                self._written_after_seconds = round(time.monotonic() - self._started_at, 1)
                return

    def _seconds_until_written(self, load_report: dict[str, Any]) -> float | None:
        """None: not all were written in time."""
        if self._written_after_seconds is not None and not self.drain.stores.announces:
            return float(load_report["seconds"])  # each row was written when its request was answered
        return self._written_after_seconds

    def _sample(self, samplers: Samplers) -> WrittenCounts | None:
        """Reports a sample, after a pause up to the next full second. Returns what is written, if that is
        known."""
        elapsed = time.monotonic() - self._started_at
        time.sleep(SAMPLE_INTERVAL_SECONDS - elapsed % SAMPLE_INTERVAL_SECONDS)
        counts, load_report = samplers.counts.latest(), samplers.load.report
        ledger = Ledger(int(load_report.get("accepted", 0)), counts.written if counts else 0)
        announcements = counts.announcements if counts else None
        if announcements is not None:
            ledger.announced, ledger.doubled = announcements.published, announcements.doubled
        self.report_progress(
            {
                "way": self.name,
                "second": round(time.monotonic() - self._started_at),
                "offered": load_report.get("offered", 0),
                "answered": load_report.get("answered", 0),
                "accepted": ledger.accepted,
                "answerP99Ms": None if load_report.get("isFinal") else load_report.get("p99Ms"),
                "readerP99Ms": samplers.reader.report.get("p99Ms"),
                "written": counts.written if counts else None,
                "announced": ledger.announced,
                "doubled": ledger.doubled,
                "queued": announcements.queued if announcements else None,
                "lockWaiters": samplers.locks.waiting_now,
            }
        )
        return counts
