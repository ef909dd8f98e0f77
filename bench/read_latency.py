"""S5: latency of a reader's feed over HTTP while one post gets likes at the same offered rate both ways.

Likes and reads have scheduled times, from which their latencies count (open loop). The rate doubles until a
way breaks: the reader's p99 is above four times that without likes, or fewer likes are accepted than offered.
"""

from dataclasses import dataclass
from functools import partial
from statistics import median

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from app.devtools.storm.requests import build_feed_request
from bench.harness import BenchHarness
from bench.pipeline import WAY_LABELS, LikePipeline, start_pipeline
from bench.results import (
    BenchmarkResult,
    Goal,
    Measurement,
    MeasurementsByVariant,
    Plot,
    measure_alternately,
    part_ratio,
    part_spread,
    spread,
)
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_posts

RATES = (100, 200, 400, 800, 1_600, 3_200)
WAYS = (PIPELINE, ROW_PER_LIKE)
READS_PER_SECOND, READER_CONNECTION_COUNT = 50, 8
PAGE_SIZE = 20
MAX_P99_FACTOR, MIN_KEPT_SHARE = 4.0, 0.95
P50, P99, KEPT = "p50 ms", "p99 ms", "share of the likes accepted"
WINDOW_SETTINGS = {"AGGREGATION_WINDOW_SECONDS": "1", "AGGREGATION_JITTER_SECONDS": "0.2"}
"""Short windows, so that the flusher writes while the feed is read."""


@dataclass
class ReadBenchmark:
    pipeline: LikePipeline
    seconds: float

    def measure(self, way: str, rate: int) -> Measurement:
        """A new post gets the likes; `rate` 0: nobody likes it. Returns when the likes are written."""
        stores = self.pipeline.prepare_posts(way, 1)
        likes = self.pipeline.build_likes(way, stores.post_ids, int(rate * self.seconds))
        feed = build_feed_request(self.pipeline.likers[0][0], TEST_SECRET_KEY)
        reader = self.pipeline.start_load(
            [feed], READS_PER_SECOND, self.seconds, 1, True, READER_CONNECTION_COUNT
        )
        loads = self.pipeline.start_load(likes, rate, self.seconds) if rate else []
        try:
            reads = self.pipeline.wait_for_reports(reader)
            kept = 1.0
            if loads:
                report = self.pipeline.wait_for_reports(loads)
                kept = report["accepted"] / len(likes)
                self.pipeline.drain(stores, report["accepted"])
        finally:
            for load in (*reader, *loads):
                load.close()
        failed = reads["sent"] - reads["accepted"]
        if failed:
            kept = 0.0  # a failed read has no latency
        return Measurement(
            reads["accepted"],
            max(self.seconds, reads["seconds"]),
            parts={P50: reads["p50Ms"], P99: reads["p99Ms"], KEPT: kept},
        )


def is_broken(measurement: Measurement, idle: Measurement) -> bool:
    return (
        measurement.parts[P99] > MAX_P99_FACTOR * idle.parts[P99] or measurement.parts[KEPT] < MIN_KEPT_SHARE
    )


def idle_variant(rate: int) -> str:
    return f"no likes, beside {rate:,}/s"


def like_variant(way: str, rate: int) -> str:
    return f"{WAY_LABELS[way]}, {rate:,} likes/s"


def highest_rates_served(measurements: MeasurementsByVariant, way: str) -> list[int]:
    """Per round: the highest rate before the first at which the way broke; 0: it broke at the first."""
    rounds = len(measurements[idle_variant(RATES[0])])
    served = [0] * rounds
    for index in range(rounds):
        for rate in RATES:
            if like_variant(way, rate) not in measurements or is_broken(
                measurements[like_variant(way, rate)][index], measurements[idle_variant(rate)][index]
            ):
                break
            served[index] = rate
    return served


def measure_until_all_break(benchmark: ReadBenchmark, rounds: int) -> MeasurementsByVariant:
    """A way that broke in half of the rounds is not measured at higher rates, except the pipeline at those
    that one row per like can serve: the goal compares them."""
    measurements: MeasurementsByVariant = {}
    ways = list(WAYS)
    for rate in RATES:
        measure_by_variant = {idle_variant(rate): partial(benchmark.measure, PIPELINE, 0)}
        measure_by_variant |= {like_variant(way, rate): partial(benchmark.measure, way, rate) for way in ways}
        measurements |= measure_alternately(measure_by_variant, rounds)
        idle = measurements[idle_variant(rate)]
        ways = [
            way for way in ways if median(map(is_broken, measurements[like_variant(way, rate)], idle)) < 0.5
        ]
        if not ways:
            break
        if ROW_PER_LIKE in ways:
            ways = list(WAYS)
    return measurements


def run_benchmark(harness: BenchHarness, rounds: int, seconds: float) -> BenchmarkResult:
    pipeline = start_pipeline(harness, WINDOW_SETTINGS, int(RATES[-1] * seconds))
    create_posts(harness.worker_services.services.engine, pipeline.likers[0][0], PAGE_SIZE)
    benchmark = ReadBenchmark(pipeline, seconds)
    for way in WAYS:
        benchmark.measure(way, RATES[0])  # warm-up
    measurements = measure_until_all_break(benchmark, rounds)
    harness.stop()
    result = BenchmarkResult(
        "S5",
        "a reader's feed over HTTP while one post gets likes",
        "reads/s",
        measurements,
        idle_variant(RATES[0]),
        {
            like_variant(way, rate): idle_variant(rate)
            for rate in RATES
            for way in WAYS
            if like_variant(way, rate) in measurements
        }
        | {name: name for name in measurements if name.startswith("no likes")},
        compare_to_baseline=partial(part_ratio, part=P99),
        parts_title="latency of the feed",
    )
    served = {way: highest_rates_served(measurements, way) for way in WAYS}
    result.goals = [
        Goal(
            f"p99 at {rate:,} likes/s / one row per like",
            part_ratio(
                measurements[like_variant(PIPELINE, rate)],
                measurements[like_variant(ROW_PER_LIKE, rate)],
                P99,
            ),
            0.5,
            is_upper_bound=True,
        )
        for rate in RATES
        if rate <= median(served[ROW_PER_LIKE])
    ]
    result.goals.append(
        Goal(
            "highest rate served / one row per like",
            spread(
                [
                    pipeline_rate / max(rows_rate, RATES[0] / 2)
                    for pipeline_rate, rows_rate in zip(served[PIPELINE], served[ROW_PER_LIKE], strict=True)
                ]
            ),
            4,
        )
    )
    for way in WAYS:
        result.facts[f"highest rate served, {WAY_LABELS[way]}"] = spread(served[way])
    result.plot = Plot(
        "likes offered per second",
        "p99 of the feed in ms",
        _plot_lines(measurements),
        is_log=True,
    )
    result.notes = [
        f"The newest {PAGE_SIZE} posts, {READS_PER_SECOND} times a second; a new post in each round, one "
        "like per user. One web process and all workers on the same cores. x baseline: of the p99.",
        f"Served: p99 at most {MAX_P99_FACTOR:.0f} times that without likes, no read failed, and at least "
        f"{MIN_KEPT_SHARE:.0%} of the likes accepted in time.",
    ]
    return result


def _plot_lines(measurements: MeasurementsByVariant) -> dict[str, list[tuple[float, float, float, float]]]:
    lines = {
        WAY_LABELS[way]: _points(measurements, {rate: like_variant(way, rate) for rate in RATES})
        for way in WAYS
    }
    lines["no likes"] = _points(measurements, {rate: idle_variant(rate) for rate in RATES})
    limits = [(point[0], MAX_P99_FACTOR * point[2]) for point in lines["no likes"]]
    lines["its limit"] = [(rate, limit, limit, limit) for rate, limit in limits]
    return lines


def _points(
    measurements: MeasurementsByVariant, variants: dict[int, str]
) -> list[tuple[float, float, float, float]]:
    spreads = {
        rate: part_spread(measurements[variant], P99)
        for rate, variant in variants.items()
        if variant in measurements
    }
    return [(rate, p99.min, p99.median, p99.max) for rate, p99 in spreads.items()]
