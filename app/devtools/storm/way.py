"""One way of a storm: offers the load beside a reader, waits until all rows are written, and measures both.

A service that is stopped or frozen meanwhile makes figures of that time unknown, but ends nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.devtools.storm.count_sampler import CountSampler
from app.devtools.storm.ledger import Ledger, StormStores, WrittenCounts
from app.devtools.storm.load_connection import PreparedRequest
from app.devtools.storm.load_generator import LoadPlan
from app.devtools.storm.load_process import LoadProcess
from app.devtools.storm.measurements import STATISTICS_DELAY_SECONDS, LockWaitSampler, read_counters
from app.devtools.storm.options import StormOptions
from app.devtools.storm.storms import StormFolder
from app.domain.errors import Unavailable
from app.operations.open_windows import OpenWindow, OpenWindows

CONNECTION_COUNT, READER_CONNECTION_COUNT = 64, 4
READS_PER_SECOND = 20.0
MAX_LATE_SECONDS = 30.0
"""How long after the last scheduled time requests are still sent."""
LOAD_START_TIMEOUT_SECONDS = 30.0
MAX_DRAIN_SECONDS = 300.0
"""How long to wait for the rows beyond the time of a window: somebody may have stopped a service."""
SAMPLE_INTERVAL_SECONDS = 1.0
MAX_WINDOWS = 20_000
Progress = Callable[[dict[str, Any]], None]
"""Called with each sample; raises when the storm is cancelled."""


@dataclass(frozen=True)
class ServerAddress:
    host: str
    port: int


@dataclass(frozen=True)
class Samplers:
    """What runs beside the load."""

    load: LoadProcess
    reader: LoadProcess
    counts: CountSampler
    locks: LockWaitSampler


@dataclass
class StormWay:
    name: str
    options: StormOptions
    server: ServerAddress
    stores: StormStores
    open_windows: OpenWindows
    folder: StormFolder
    max_window_seconds: float
    report_progress: Progress
    _started_at: float = field(default=0.0, init=False)
    _written_after_seconds: float | None = field(default=None, init=False)

    def run(self, requests: Sequence[PreparedRequest], feed_request: PreparedRequest) -> dict[str, Any]:
        """Figures, ledger and messages. Raises Unavailable when the stores cannot be read at the end, and
        RuntimeError when the load generator failed."""
        time.sleep(STATISTICS_DELAY_SECONDS)
        counters_before = read_counters(self.stores.engine)
        samplers = Samplers(
            LoadProcess(self._load_plan(requests)),
            LoadProcess(self._reader_plan(feed_request)),
            CountSampler(self.stores),
            LockWaitSampler(self.stores.engine),
        )
        try:
            self._wait_until_load_started(samplers.load)
            while samplers.load.is_running:
                self._sample(samplers)
            load_report = samplers.load.stop()
            self._wait_until_written(samplers, int(load_report["accepted"]))
        finally:
            samplers.counts.stop()
            lock_figures = samplers.locks.stop()
            reader_report = samplers.reader.stop()
            samplers.load.stop()
        time.sleep(STATISTICS_DELAY_SECONDS)
        counters = read_counters(self.stores.engine).since(counters_before)
        ledger = self.stores.check(self.folder.request_log_path)
        message_count, messages = self.stores.read_messages() if self.stores.announces else (0, [])
        figures = _load_figures(self.options, load_report) | counters | lock_figures
        figures |= {
            "walBytesPerLike": _per_item(counters["walBytes"], ledger.written),
            "readerP50Ms": reader_report["p50Ms"],
            "readerP99Ms": reader_report["p99Ms"],
            "readerCount": reader_report["answered"],
            "secondsUntilWritten": self._seconds_until_written(load_report),
        }
        return {
            "figures": figures,
            "ledger": ledger.to_dict(),
            "messageCount": message_count,
            "messages": messages,
        }

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
        """Reads until it is stopped, when all rows are written."""
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

    def _wait_until_written(self, samplers: Samplers, accepted: int) -> None:
        deadline = time.monotonic() + self._max_drain_seconds
        while time.monotonic() < deadline:
            counts = self._sample(samplers)
            if counts is not None and self._is_all_written(counts, accepted):
                self._written_after_seconds = round(time.monotonic() - self._started_at, 1)
                return

    def _is_all_written(self, counts: WrittenCounts, accepted: int) -> bool:
        if not self.stores.announces:
            return counts.written >= accepted
        try:
            windows = self._list_windows()
            gathered = sum(window.gathered_count for window in windows)
            if self.options.close_windows and windows and counts.written + gathered >= accepted:
                self.open_windows.make_due([window.name for window in windows])
        except Unavailable:
            return False
        return not windows and counts.written >= accepted and counts.announced_once == counts.written

    def _list_windows(self) -> list[OpenWindow]:
        windows = self.open_windows.list_by_due(MAX_WINDOWS)
        return [window for window in windows if window.recipient_id == self.stores.author_id]

    def _seconds_until_written(self, load_report: dict[str, Any]) -> float | None:
        """None: not all were written in time."""
        if self._written_after_seconds is not None and not self.stores.announces:
            return float(load_report["seconds"])  # each row was written when its request was answered
        return self._written_after_seconds

    def _sample(self, samplers: Samplers) -> WrittenCounts | None:
        """Reports a sample, after a pause up to the next full second. Returns what is written, if that is
        known."""
        elapsed = time.monotonic() - self._started_at
        time.sleep(SAMPLE_INTERVAL_SECONDS - elapsed % SAMPLE_INTERVAL_SECONDS)
        counts, load_report = samplers.counts.latest(), samplers.load.report
        ledger = Ledger(int(load_report.get("accepted", 0)), counts.written if counts else 0)
        if counts is not None and counts.announced is not None and counts.announced_once is not None:
            ledger.announced = counts.announced
            ledger.doubled = counts.announced - counts.announced_once
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
                "queued": counts.queued if counts else None,
                "lockWaiters": samplers.locks.waiting_now,
            }
        )
        return counts


def _load_figures(options: StormOptions, report: dict[str, Any]) -> dict[str, Any]:
    return {
        "offered": options.request_count,
        "notSent": options.request_count - report["sent"],
        "answered": report["answered"],
        "refused": report["refused"],
        "unknown": report["unknown"],
        "offeredPerSecond": round(options.rate, 1),
        "answeredPerSecond": round(report["answered"] / max(report["seconds"], 0.001), 1),
        "answerP50Ms": report["p50Ms"],
        "answerP99Ms": report["p99Ms"],
    }


def _per_item(total: int | None, count: int) -> int | None:
    return round(total / count) if total is not None and count else None
