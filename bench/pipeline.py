"""The whole pipeline and likes that are offered to it both ways: what S5, S7 and S9 share.

The same web processes serve both ways, under the same authentication (blueprints/testing/row_per_like.py).
The load generator is that of the storm, in a process of its own on the same cores.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import psutil
from sqlalchemy import text

from app.devtools.storm import row_per_like
from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from app.devtools.storm.drain import list_windows_of
from app.devtools.storm.ledger import StormStores
from app.devtools.storm.load_connection import PreparedRequest
from app.devtools.storm.load_generator import LoadPlan
from app.devtools.storm.load_process import LoadProcess
from app.domain.worker_loops import WORKER_LOOPS, WORKER_PROCESSES
from app.operations.consumer_lag import read_consumer_group_offsets
from app.operations.open_windows import OpenWindows
from bench.harness import BenchHarness
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token, create_posts, create_users, init_caches
from harness.processes import ManagedProcess
from harness.waiting import wait_until

WAY_LABELS = {PIPELINE: "pipeline", ROW_PER_LIKE: "one row per like"}
LIKE_PATHS = {PIPELINE: "/api/posts/{}/like", ROW_PER_LIKE: "/api/test/row-per-like/posts/{}/like"}
CONNECTION_COUNT = 64
AS_FAST_AS_ANSWERED = 1e9
"""A rate at which a connection sends its next request as soon as the previous one is answered."""
MAX_LOAD_SECONDS, START_TIMEOUT_SECONDS, DRAIN_TIMEOUT_SECONDS = 180.0, 30.0, 120.0
POLL_INTERVAL_SECONDS = 0.1
REPORT_COUNTS = ("offered", "sent", "answered", "accepted", "unknown", "refused")
Liker = tuple[str, str]
"""User id and access token."""
_SELECT_WRITTEN = text("""
    select coalesce(sum(like_count), 0), exists (select from outbox where published_at is null)
    from posts where user_id = :owner
""")


@dataclass(frozen=True, slots=True)
class OfferedLikes:
    """What became of the likes that were offered."""

    report: dict[str, Any]
    """The final report of the load generator (app/devtools/storm/load_generator.py); of two, their sums."""
    written_seconds: float
    """From the first request until all that was accepted was in the tables and its announcement published."""

    @property
    def accepted_per_second(self) -> float:
        return float(self.report["accepted"] / self.report["seconds"])


@dataclass
class LikePipeline:
    """All processes of the product, and users who like."""

    harness: BenchHarness
    web_processes: list[ManagedProcess]
    workers: list[ManagedProcess]
    likers: list[Liker]
    on_poll: Callable[[], object] = field(default=lambda: None)
    """Called while likes are offered and written."""

    def prepare_posts(self, way: str, post_count: int) -> StormStores:
        """Posts of a new owner, as after their first read; or in tables for one row per like."""
        services = self.harness.worker_services.services
        [owner_id] = create_users(services.engine, 1)
        post_ids = create_posts(services.engine, owner_id, post_count)
        init_caches(services.memberships, owner_id, post_ids)
        if way == ROW_PER_LIKE:
            row_per_like.create_tables(services.engine, post_ids)
        schema = "public" if way == PIPELINE else row_per_like.SCHEMA
        return StormStores(
            services.engine, services.redis, schema, owner_id, post_ids, announces=way == PIPELINE
        )

    def build_likes(self, way: str, post_ids: Sequence[str], like_count: int) -> list[PreparedRequest]:
        """The posts take turns while there are enough users for all likes, else they follow each other."""
        takes_turns = like_count <= len(self.likers)
        requests = []
        for number in range(like_count):
            user_id, token = self.likers[number % len(self.likers)]
            post_id = post_ids[number % len(post_ids) if takes_turns else number // len(self.likers)]
            path = LIKE_PATHS[way].format(post_id)
            requests.append(PreparedRequest("like", user_id, post_id, "PUT", path, token))
        return requests

    def start_load(
        self,
        requests: Sequence[PreparedRequest],
        rate: float = AS_FAST_AS_ANSWERED,
        seconds: float = MAX_LOAD_SECONDS,
        web_count: int = 1,
        repeats: bool = False,
        connection_count: int = CONNECTION_COUNT,
    ) -> list[LoadProcess]:
        """One load generator per web process."""
        return [
            LoadProcess(
                LoadPlan(
                    "127.0.0.1",
                    web.port,
                    rate / web_count,
                    connection_count // web_count,
                    seconds,
                    list(requests[index::web_count]),
                    repeats,
                )
            )
            for index, web in enumerate(self.web_processes[:web_count])
        ]

    def offer_likes(
        self, stores: StormStores, requests: Sequence[PreparedRequest], web_count: int = 1
    ) -> OfferedLikes:
        """As fast as they are answered. Raises RuntimeError if the pipeline did not accept one, or if what is
        written is not what was accepted.

        One row per like may refuse some: a statement that waits for the row of its post for too long is
        cancelled."""
        loads = self.start_load(requests, web_count=web_count)
        try:
            wait_until(lambda: all(load.report for load in loads), "the first likes", START_TIMEOUT_SECONDS)
            started_at = time.perf_counter()
            report = self.wait_for_reports(loads)
            if stores.announces and report["accepted"] != len(requests):
                raise RuntimeError(f"{len(requests) - report['accepted']} likes were not accepted: {report}")
            self.drain(stores, report["accepted"])
            offered = OfferedLikes(report, time.perf_counter() - started_at)
        finally:
            for load in loads:
                load.close()
        counts = stores.count_written()
        accepted = report["accepted"]
        if not accepted <= counts.written <= accepted + report["unknown"] or not counts.is_all_announced:
            raise RuntimeError(f"of {accepted} accepted likes, written and announced: {counts}")
        return offered

    def wait_for_reports(self, loads: Sequence[LoadProcess]) -> dict[str, Any]:
        """The sums of their final reports; `seconds` is that of the slowest."""
        while any(load.is_running for load in loads):
            self.on_poll()
            time.sleep(POLL_INTERVAL_SECONDS)
        reports = [load.stop() for load in loads]
        sums = {name: sum(report[name] for report in reports) for name in REPORT_COUNTS}
        return reports[0] | sums | {"seconds": max(report["seconds"] for report in reports)}

    def drain(self, stores: StormStores, accepted_count: int) -> None:
        """Closes the windows once all that was accepted is in them or written, and waits until it is written
        and announced. Raises RuntimeError after a time limit."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_SECONDS
        while stores.announces and not self._is_drained(stores, accepted_count):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not written within {DRAIN_TIMEOUT_SECONDS:.0f} s")
            self.on_poll()
            time.sleep(POLL_INTERVAL_SECONDS)

    def _is_drained(self, stores: StormStores, accepted_count: int) -> bool:
        """With cheaper queries than app/devtools/storm/drain.py, because they are measured too."""
        written_count, has_unpublished = self.count_written(stores.author_id)
        open_windows = OpenWindows(stores.redis)
        windows = list_windows_of(open_windows, stores.author_id)
        if written_count + sum(window.gathered_count for window in windows) >= accepted_count:
            open_windows.make_due([window.name for window in windows])
        return written_count >= accepted_count and not has_unpublished and not windows

    def count_written(self, owner_id: str) -> tuple[int, bool]:
        """The likes that the posts of that owner count, and whether an announcement is unpublished."""
        with self.harness.worker_services.services.engine.connect() as conn:
            written_count, has_unpublished = conn.execute(_SELECT_WRITTEN, {"owner": owner_id}).one()
        return int(written_count), bool(has_unpublished)

    def wait_for_delivery_log(self) -> None:
        """It is written behind the announcements: its work belongs to the likes that caused it."""
        connection = self.harness.worker_services.services.settings.service_urls.kafka_connection
        group = WORKER_LOOPS["delivery-log"].consumer_group
        deadline = time.monotonic() + DRAIN_TIMEOUT_SECONDS
        while any(item.lag for item in read_consumer_group_offsets(connection) if item.group == group):
            if time.monotonic() > deadline:
                raise RuntimeError("the delivery log was not written in time")
            time.sleep(1.0)  # each look at the offsets costs Kafka and this process

    def cpu_seconds_by_process(self) -> dict[str, float]:
        """So far, of everything that runs; of load generators once they have ended."""
        times = os.times()
        return {
            **{process.name: process.cpu_seconds() for process in self.web_processes + self.workers},
            **{name: tree_cpu_seconds(pid) for name, pid in self.service_pids.items()},
            "load": times.children_user + times.children_system,
            "bench": times.user + times.system,
        }

    @cached_property
    def service_pids(self) -> dict[str, int]:
        return {
            name: status.pid
            for name, status in self.harness.embedded_services.status().items()
            if status.pid is not None
        }


def start_pipeline(
    harness: BenchHarness, settings: dict[str, str], liker_count: int, web_count: int = 1
) -> LikePipeline:
    """Returns when a like has been written and announced."""
    webs = [harness.start_web("app.wsgi:app", name=f"web {number + 1}") for number in range(web_count)]
    workers = [harness.start_worker(name, settings) for name in WORKER_PROCESSES]
    user_ids = create_users(harness.worker_services.services.engine, liker_count)
    likers = [(user_id, create_access_token(user_id, TEST_SECRET_KEY)) for user_id in user_ids]
    pipeline = LikePipeline(harness, webs, workers, likers)
    stores = pipeline.prepare_posts(PIPELINE, 1)
    pipeline.offer_likes(stores, pipeline.build_likes(PIPELINE, stores.post_ids, 1))
    return pipeline


def tree_cpu_seconds(pid: int) -> float:
    """Of a process, its children, and those that have ended."""
    main_process = psutil.Process(pid)
    times = main_process.cpu_times()
    seconds = times.user + times.system + times.children_user + times.children_system
    for child in main_process.children(recursive=True):
        try:
            seconds += sum(child.cpu_times()[:2])
        except psutil.Error:
            continue
    return float(seconds)
