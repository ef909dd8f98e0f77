"""Warms up both ways before the first is measured: connections, caches and plans of every process.

Likes of other people at a post of another author, so that neither counts of the storm change. Its windows are
closed, so that nothing of it is written later.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from sqlalchemy.exc import DBAPIError

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from app.devtools.storm.drain import list_windows_of
from app.devtools.storm.ledger import StormStores
from app.devtools.storm.load_connection import PreparedRequest
from app.devtools.storm.load_generator import LoadPlan
from app.devtools.storm.load_process import LoadProcess
from app.devtools.storm.requests import build_feed_request, build_warm_up_requests
from app.devtools.storm.way import CONNECTION_COUNT, Pause, ServerAddress
from app.domain.errors import Unavailable
from app.operations.open_windows import OpenWindows

WARM_UP_PEOPLE = 300
REQUESTS_PER_SECOND = 100.0
LIKES_PER_READ = 10
MAX_LATE_SECONDS = 20.0
MAX_DRAIN_SECONDS = 30.0
"""Then the storm begins all the same."""
POLL_INTERVAL_SECONDS = 0.5


@dataclass(frozen=True)
class WarmUp:
    server: ServerAddress
    stores: StormStores
    """Of the pipeline, with the author and the post of the warm-up."""
    open_windows: OpenWindows
    jwt_secret: str
    pause: Pause

    def run(self, people_ids: list[str]) -> None:
        """Ignores what fails: the storm itself shows it."""
        requests = self._build_requests(people_ids)
        max_seconds = len(requests) / REQUESTS_PER_SECOND + MAX_LATE_SECONDS
        load = LoadProcess(
            LoadPlan(
                self.server.host,
                self.server.port,
                REQUESTS_PER_SECOND,
                CONNECTION_COUNT,
                max_seconds,
                requests,
            )
        )
        try:
            while load.is_running:
                self.pause(POLL_INTERVAL_SECONDS)
        finally:
            load.close()
        deadline = time.monotonic() + MAX_DRAIN_SECONDS
        while time.monotonic() < deadline and not self._is_written(len(people_ids)):
            self.pause(POLL_INTERVAL_SECONDS)

    def _build_requests(self, people_ids: list[str]) -> list[PreparedRequest]:
        """Both ways in turn, and a feed now and then."""
        likes = build_warm_up_requests(people_ids, self.stores.post_ids[0], self.jwt_secret)
        feed = build_feed_request(people_ids[0], self.jwt_secret)
        pairs = zip(likes[ROW_PER_LIKE], likes[PIPELINE], strict=True)
        return list(
            chain.from_iterable(
                (*pair, feed) if number % LIKES_PER_READ == 0 else pair for number, pair in enumerate(pairs)
            )
        )

    def _is_written(self, like_count: int) -> bool:
        with suppress(Unavailable, DBAPIError):
            counts = self.stores.count_written()
            windows = list_windows_of(self.open_windows, self.stores.author_id)
            self.open_windows.make_due([window.name for window in windows])
            return counts.written >= like_count and not windows and counts.is_all_announced
        return False
