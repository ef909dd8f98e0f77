"""Measures variants in alternation; ratios within a round, then medians and quartiles over rounds.

The speed of a shared machine changes by a factor of two within minutes. Variants of one round are
measured within seconds of each other, so ratios are computed per round first.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one variant completed in one round."""

    completed: int
    elapsed_seconds: float
    cpu_seconds: float | None = None
    latencies_ms: tuple[float, ...] = ()
    write_transactions: int | None = None
    phases_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.completed / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Median, first and third quartile."""

    low: float
    median: float
    high: float


MeasurementsByVariant = dict[str, list[Measurement]]
Compare = Callable[[Sequence[Measurement], Sequence[Measurement]], Quartiles]


@dataclass(slots=True)
class BenchmarkResult:
    """The result of one benchmark."""

    benchmark_id: str
    title: str
    unit: str
    measurements: MeasurementsByVariant
    baseline_variant: str
    baseline_by_variant: dict[str, str] = field(default_factory=dict)
    """Variants that have a baseline of their own."""
    compare_to_baseline: Compare | None = None
    """Computes the ratio to the baseline; None: throughput_ratio."""
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    goals: list["Goal"] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """Broken guarantees that do not depend on the machine's speed. They make the run fail."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A target for a figure. It depends on the machine, so missing it does not make the run fail."""

    description: str
    actual: float
    threshold: float
    is_upper_bound: bool = False

    @property
    def is_met(self) -> bool:
        return self.actual <= self.threshold if self.is_upper_bound else self.actual >= self.threshold


def measure_alternately(
    measure_by_variant: Mapping[str, Callable[[], Measurement]], rounds: int
) -> MeasurementsByVariant:
    """Measures every variant once per round. The order rotates from round to round."""
    names = list(measure_by_variant)
    measured: MeasurementsByVariant = {name: [] for name in names}
    for round_index in range(rounds):
        first_index = round_index % len(names)
        for name in names[first_index:] + names[:first_index]:
            measured[name].append(measure_by_variant[name]())
    return measured


def quartiles(values: Sequence[float]) -> Quartiles:
    if not values:
        raise ValueError("no measurements")
    if len(values) == 1:
        return Quartiles(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Quartiles(low, median, high)


def throughput_ratio(measured: Sequence[Measurement], baseline: Sequence[Measurement]) -> Quartiles:
    """Rate divided by the baseline's rate of the same round."""
    return quartiles(
        [
            measurement.rate / baseline_measurement.rate
            for measurement, baseline_measurement in zip(measured, baseline, strict=True)
        ]
    )


def cpu_efficiency_ratio(
    measured: Sequence[Measurement], baseline: Sequence[Measurement]
) -> Quartiles | None:
    """CPU time per item of the baseline divided by that of the variant; other load hardly affects it."""
    pairs = [
        (
            measurement.cpu_seconds / measurement.completed,
            baseline_measurement.cpu_seconds / baseline_measurement.completed,
        )
        for measurement, baseline_measurement in zip(measured, baseline, strict=True)
        if measurement.cpu_seconds and baseline_measurement.cpu_seconds
    ]
    return (
        quartiles(
            [
                baseline_cpu_seconds_each / cpu_seconds_each
                for cpu_seconds_each, baseline_cpu_seconds_each in pairs
            ]
        )
        if pairs
        else None
    )


def latency_ratio(
    measured: Sequence[Measurement], baseline: Sequence[Measurement], percent: float = 50
) -> Quartiles:
    """Latency at this percentile divided by the baseline's of the same round."""

    return quartiles(
        [
            percentile(measurement.latencies_ms, percent)
            / percentile(baseline_measurement.latencies_ms, percent)
            for measurement, baseline_measurement in zip(measured, baseline, strict=True)
        ]
    )


def rate_quartiles(measurements: Sequence[Measurement]) -> Quartiles:
    return quartiles([measurement.rate for measurement in measurements])


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank, without interpolation."""
    if not values:
        raise ValueError("no measurements")
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def all_latencies_ms(measurements: Sequence[Measurement]) -> list[float]:
    return [ms for measurement in measurements for ms in measurement.latencies_ms]


def median_cpu_microseconds(measurements: Sequence[Measurement]) -> float | None:
    """CPU microseconds of the server per item; None if CPU time was not measured."""
    cpu_microseconds_each = [
        measurement.cpu_seconds * 1e6 / measurement.completed
        for measurement in measurements
        if measurement.cpu_seconds and measurement.completed
    ]
    return statistics.median(cpu_microseconds_each) if cpu_microseconds_each else None
