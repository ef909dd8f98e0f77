"""S7: likes per second that the whole pipeline accepts, and that are in PostgreSQL and announced.

Everything shares the cores, the load generator included. 10,000 likes of one post, and over 2,000 posts, with
one and two web processes; beside it one row per like, through the same web processes. Then two minutes at the
rate that one web process accepts: does what is accepted and not yet in the tables grow?
"""

import time
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from bench.harness import BenchHarness
from bench.pipeline import WAY_LABELS, LikePipeline, start_pipeline
from bench.results import (
    BenchmarkResult,
    Goal,
    Measurement,
    Plot,
    measure_alternately,
    rate_spread,
    spread,
    throughput_ratio,
)

WINDOW_SETTINGS = {"AGGREGATION_WINDOW_SECONDS": "10", "AGGREGATION_JITTER_SECONDS": "2"}
POST_COUNT = 2_000
ROW_PER_LIKE_SHARE = 5
"""One row per like is slow, so it gets a fifth of the likes; rates are comparable all the same."""
MAX_BACKLOG_GROWTH_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Variant:
    way: str
    post_count: int
    web_count: int

    @property
    def label(self) -> str:
        posts = "one post" if self.post_count == 1 else f"{self.post_count:,} posts"
        return f"{WAY_LABELS[self.way]}, {posts}, {self.web_count} web"

    @property
    def baseline(self) -> "Variant":
        return Variant(ROW_PER_LIKE, self.post_count, self.web_count)


VARIANTS = [
    Variant(way, post_count, web_count)
    for post_count in (1, POST_COUNT)
    for web_count in (1, 2)
    for way in (PIPELINE, ROW_PER_LIKE)
]
HOT_POST = VARIANTS[0]


@dataclass
class ThroughputBenchmark:
    pipeline: LikePipeline
    like_count: int
    accepted_rates: dict[Variant, list[float]] = field(default_factory=dict)
    unaccepted_count: int = 0
    """Likes that one row per like did not accept."""

    def measure(self, variant: Variant) -> Measurement:
        like_count = self.like_count // (ROW_PER_LIKE_SHARE if variant.way == ROW_PER_LIKE else 1)
        stores = self.pipeline.prepare_posts(variant.way, variant.post_count)
        requests = self.pipeline.build_likes(variant.way, stores.post_ids, like_count)
        cpu_before = self.pipeline.cpu_seconds_by_process()
        offered = self.pipeline.offer_likes(stores, requests, variant.web_count)
        self.pipeline.wait_for_delivery_log()
        spent = {
            name: seconds - cpu_before[name]
            for name, seconds in self.pipeline.cpu_seconds_by_process().items()
        }
        self.accepted_rates.setdefault(variant, []).append(offered.accepted_per_second)
        accepted_count = offered.report["accepted"]
        self.unaccepted_count += like_count - accepted_count
        # Each row was written when its request was answered.
        seconds = offered.written_seconds if variant.way == PIPELINE else offered.report["seconds"]
        cpu_ms = {name: cpu_seconds * 1000 / like_count for name, cpu_seconds in spent.items()}
        return Measurement(accepted_count, seconds, cpu_seconds=sum(spent.values()), parts=cpu_ms)

    def measure_backlog(self, rate: float, seconds: float) -> tuple[list[tuple[float, float]], float]:
        """Offers likes at that rate to one web process. Returns what was accepted and not yet written at each
        second, and the rate that was accepted."""
        like_count = int(rate * seconds)
        post_count = -(-like_count // len(self.pipeline.likers))
        stores = self.pipeline.prepare_posts(PIPELINE, post_count)
        requests = self.pipeline.build_likes(PIPELINE, stores.post_ids, like_count)
        samples: list[tuple[float, float]] = []
        [load] = self.pipeline.start_load(requests, rate, seconds)
        try:
            while not load.report:
                time.sleep(0.05)
            started_at = time.perf_counter()
            while load.is_running:
                time.sleep(1.0)
                written, _ = self.pipeline.count_written(stores.author_id)
                samples.append((time.perf_counter() - started_at, load.report["accepted"] - written))
            report = load.stop()
        finally:
            load.close()
        self.pipeline.drain(stores, report["accepted"])
        return samples, report["accepted"] / max(seconds, report["seconds"])


def backlog_growth(samples: list[tuple[float, float]]) -> float:
    """Likes per second: the median of the last third of the time less that of the second third. Windows that
    close make the backlog rise and fall within a third."""
    third = samples[-1][0] / 3
    middle, last = (
        median(backlog for at, backlog in samples if start < at <= start + third)
        for start in (third, 2 * third)
    )
    return (last - middle) / third


def run_benchmark(
    harness: BenchHarness, rounds: int, like_count: int, backlog_seconds: float
) -> BenchmarkResult:
    pipeline = start_pipeline(harness, WINDOW_SETTINGS, like_count, web_count=2)
    benchmark = ThroughputBenchmark(pipeline, like_count)
    for variant in VARIANTS[:4]:
        benchmark.measure(variant)  # warm-up: each web process has seen the tokens
    benchmark.accepted_rates.clear()
    measurements = measure_alternately(
        {variant.label: partial(benchmark.measure, variant) for variant in VARIANTS}, rounds
    )
    rate = median(benchmark.accepted_rates[HOT_POST])
    samples, accepted_rate = benchmark.measure_backlog(rate, backlog_seconds)
    harness.stop()
    growth = backlog_growth(samples)
    result = BenchmarkResult(
        "S7",
        "the whole pipeline, likes in PostgreSQL and announced",
        "likes/s",
        measurements,
        HOT_POST.baseline.label,
        {variant.label: variant.baseline.label for variant in VARIANTS},
    )
    hot_post, hot_post_rows = measurements[HOT_POST.label], measurements[HOT_POST.baseline.label]
    result.goals = [
        Goal("likes/s in the tables, one post, 1 web", rate_spread(hot_post), 1_400),
        Goal("the same / one row per like", throughput_ratio(hot_post, hot_post_rows), 4),
        Goal(
            f"growth of the backlog in {backlog_seconds:.0f} s at {rate:,.0f} likes/s, likes/s",
            spread([growth]),
            round(rate * MAX_BACKLOG_GROWTH_SHARE, 1),
            is_upper_bound=True,
        ),
    ]
    for variant, rates in benchmark.accepted_rates.items():
        result.facts[f"likes/s accepted, {variant.label}"] = spread(rates)
    result.facts["likes that one row per like did not accept"] = benchmark.unaccepted_count
    result.facts["likes/s accepted while the backlog was watched"] = accepted_rate
    result.plot = Plot(
        f"seconds, {rate:,.0f} likes/s offered to one web process",
        "accepted, not yet in the tables",
        {"backlog": [(at, backlog, backlog, backlog) for at, backlog in samples]},
    )
    result.notes = [
        f"{like_count:,} likes, each of another user, by 64 connections; one row per like: a fifth of them.",
        "Windows close after 10 s, or as soon as all likes are in them. The time ends when the last row is "
        "written, the last announcement published to Kafka and the last window removed from Redis.",
        "load: the load generator; bench: this process, which counts rows after the load.",
    ]
    return result
