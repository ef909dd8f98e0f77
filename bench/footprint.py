"""S9: bytes per like and per notification in Redis, Kafka, WAL and tables; memory of each process.

The likes come as fast as they are answered, so that the highest values are those of a full load.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil
from sqlalchemy import text

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from app.devtools.storm.measurements import read_counters, write_checkpoint
from app.domain.routing import PRIORITY_TOPICS, Topic
from bench.harness import BenchHarness
from bench.pipeline import LikePipeline, start_pipeline
from bench.results import BenchmarkResult, Goal, Measurement, measure_alternately, spread
from harness.processes import ManagedProcess

LIKES_VARIANT, NOTIFICATIONS_VARIANT, ROWS_VARIANT = (
    "likes of one post",
    "a post per like, so a notification per like",
    "one row per like, one post",
)
NOTIFICATION_SHARE = 5
"""A notification each is slow, so those are a fifth of the likes."""
MAX_WEB_MEGABYTES = 120
ARBITER, WEB_WORKER = "arbiter", "worker"
SHOWN_TABLES = ("likes", "notifications", "notification_actors", "outbox")
_SELECT_TABLE_SIZES = text("""
    select relname, sum(pg_total_relation_size(c.oid)) from pg_class c
    join pg_namespace n on n.oid = relnamespace
    where relkind = 'r' and nspname not in ('pg_catalog', 'information_schema') group by relname
""")


@dataclass
class Footprint:
    pipeline: LikePipeline
    megabytes_at_load: dict[str, list[float]] = field(default_factory=dict)
    """By process; one for each measurement."""
    _highest_megabytes: dict[str, float] = field(default_factory=dict)
    _highest_redis_bytes: int = 0

    def measure(self, way: str, post_count: int, like_count: int) -> Measurement:
        stores = self.pipeline.prepare_posts(way, post_count)
        requests = self.pipeline.build_likes(way, stores.post_ids, like_count)
        write_checkpoint(stores.engine)
        self._highest_megabytes, self._highest_redis_bytes = {}, 0
        bytes_before = self._read_bytes()
        offered = self.pipeline.offer_likes(stores, requests)
        self.pipeline.wait_for_delivery_log()
        bytes_after = self._read_bytes()
        bytes_after["Redis memory, highest"] = self._highest_redis_bytes
        bytes_before["Redis memory, highest"] = bytes_before["Redis memory, kept"]
        if way == PIPELINE:
            for name, megabytes in self._highest_megabytes.items():
                self.megabytes_at_load.setdefault(name, []).append(megabytes)
        return Measurement(
            like_count,
            offered.written_seconds,
            parts={name: (count - bytes_before[name]) / like_count for name, count in bytes_after.items()},
        )

    def sample(self) -> None:
        """Called while likes are accepted and written."""
        self._highest_redis_bytes = max(self._highest_redis_bytes, self._redis_bytes())
        for name, megabytes in self.megabytes_by_process().items():
            self._highest_megabytes[name] = max(megabytes, self._highest_megabytes.get(name, 0.0))

    def megabytes_by_process(self) -> dict[str, float]:
        """RSS and PSS of each process of the product. Of each service the PSS of all its processes, because
        those of PostgreSQL share most of their memory."""
        processes = self.pipeline.web_processes + self.pipeline.workers
        figures = {
            f"{name}, {figure}": count
            for process in processes
            for name, memory in _memory_by_process(process).items()
            for figure, count in (("RSS", memory.rss), ("PSS", memory.pss))
        }
        figures |= {
            f"{name}, PSS": _proportional_bytes(pid) for name, pid in self.pipeline.service_pids.items()
        }
        return {name: count / 1e6 for name, count in figures.items()}

    def _read_bytes(self) -> dict[str, int]:
        services = self.pipeline.harness.worker_services.services
        persistence: Any = services.redis.info("persistence")
        with services.engine.connect() as conn:
            size_by_table = {str(row[0]): int(row[1]) for row in conn.execute(_SELECT_TABLE_SIZES)}
        shown = {f"table {name}": size_by_table.pop(name) for name in SHOWN_TABLES}
        return {
            "Redis memory, kept": self._redis_bytes(),
            "Redis AOF": int(persistence["aof_current_size"]),
            **self._read_kafka_bytes(),
            "WAL": read_counters(services.engine).wal_bytes,
            **shown,
            "other tables": sum(size_by_table.values()),
        }

    def _redis_bytes(self) -> int:
        memory: Any = self.pipeline.harness.worker_services.services.redis.info("memory")
        return int(memory["used_memory"])

    def _read_kafka_bytes(self) -> dict[str, int]:
        counts = {"Kafka, events": 0, "Kafka, announcements": 0, "Kafka, offsets": 0}
        kafka_dir = self.pipeline.harness.embedded_services.paths.service_dir("kafka")
        for path in (kafka_dir / "logs").glob("*/*.log"):
            topic = path.parent.name.rpartition("-")[0]
            if topic in PRIORITY_TOPICS:
                counts["Kafka, events"] += path.stat().st_size
            elif topic == Topic.READY:
                counts["Kafka, announcements"] += path.stat().st_size
            elif topic == "__consumer_offsets":
                counts["Kafka, offsets"] += path.stat().st_size
        return counts


def _memory_by_process(process: ManagedProcess) -> dict[str, Any]:
    """psutil's figures by name. gunicorn is two processes, the arbiter and the worker that serves requests;
    they share pages, so their RSS must not be added."""
    main_process = psutil.Process(process.pid)
    children = main_process.children()
    if not children:
        return {process.name: main_process.memory_full_info()}
    [worker] = children
    return {
        f"{process.name} {ARBITER}": main_process.memory_full_info(),
        f"{process.name} {WEB_WORKER}": worker.memory_full_info(),
    }


def _proportional_bytes(pid: int) -> int:
    """Of a process and its children; memory that n processes share counts as one n-th in each."""
    main_process = psutil.Process(pid)
    total = 0
    for process in (main_process, *main_process.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def run_benchmark(harness: BenchHarness, rounds: int, like_count: int) -> BenchmarkResult:
    # A rewrite in between would make the AOF smaller.
    harness.worker_services.services.redis.config_set("auto-aof-rewrite-percentage", 0)
    pipeline = start_pipeline(harness, {}, like_count)
    pipeline.wait_for_delivery_log()
    footprint = Footprint(pipeline)
    megabytes_at_rest = footprint.megabytes_by_process()
    pipeline.on_poll = footprint.sample
    notification_count = like_count // NOTIFICATION_SHARE
    measurements = measure_alternately(
        {
            LIKES_VARIANT: partial(footprint.measure, PIPELINE, 1, like_count),
            NOTIFICATIONS_VARIANT: partial(
                footprint.measure, PIPELINE, notification_count, notification_count
            ),
            ROWS_VARIANT: partial(footprint.measure, ROW_PER_LIKE, 1, notification_count),
        },
        rounds,
    )
    harness.stop()
    result = BenchmarkResult(
        "S9",
        "bytes per like and per notification, memory of each process",
        "likes/s",
        measurements,
        ROWS_VARIANT,
        parts_title="bytes per like",
    )
    [web] = [process.name for process in pipeline.web_processes]
    result.goals = [
        Goal(
            "MB of RSS of the web process at load",
            spread(footprint.megabytes_at_load[f"{web} {WEB_WORKER}, RSS"]),
            MAX_WEB_MEGABYTES,
            True,
        )
    ]
    for name, megabytes in megabytes_at_rest.items():
        result.facts[f"MB of {name} at rest"] = round(megabytes)
        result.facts[f"MB of {name} at load"] = spread(footprint.megabytes_at_load[name])
    result.notes = [
        f"{like_count:,} likes of one post, {notification_count:,} of a post each; after a checkpoint.",
        "Redis memory, kept: after all is written; the cache of likers, which expires.",
        "Tables with their indexes.",
        "MB of each process by itself. RSS counts shared pages in full in each process, PSS in equal parts. "
        f"The web process is gunicorn's {WEB_WORKER}; its {ARBITER} only restarts it.",
    ]
    return result
