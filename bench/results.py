"""Measures variants in alternation; ratios within a round, then minimum, median and maximum over rounds.

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
    parts: Mapping[str, float] = field(default_factory=dict)
    """Figures per item; BenchmarkResult.parts_title says of what."""

    @property
    def rate(self) -> float:
        return self.completed / self.elapsed_seconds if self.elapsed_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum over the rounds."""

    min: float
    median: float
    max: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A diagram for docs/figures."""

    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[tuple[float, float, float, float]]]
    """Label -> points: x, then minimum, median and maximum of y."""
    is_log: bool = False


MeasurementsByVariant = dict[str, list[Measurement]]
Compare = Callable[[Sequence[Measurement], Sequence[Measurement]], Spread]


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
    facts: dict[str, Spread | str | float] = field(default_factory=dict)
    goals: list["Goal"] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """Broken guarantees that do not depend on the machine's speed. They make the run fail."""
    plot: Plot | None = None
    parts_title: str = "CPU ms per item by process"


@dataclass(frozen=True, slots=True)
class Goal:
    """A target for a figure. It depends on the machine, so missing it does not make the run fail."""

    description: str
    actual: Spread
    threshold: float
    is_upper_bound: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the median reaches it."""
        median = self.actual.median
        return median <= self.threshold if self.is_upper_bound else median >= self.threshold


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


def spread(values: Sequence[float]) -> Spread:
    if not values:
        raise ValueError("no measurements")
    return Spread(min(values), statistics.median(values), max(values))


def throughput_ratio(measured: Sequence[Measurement], baseline: Sequence[Measurement]) -> Spread:
    """Rate divided by the baseline's rate of the same round."""
    return spread(
        [
            measurement.rate / baseline_measurement.rate
            for measurement, baseline_measurement in zip(measured, baseline, strict=True)
        ]
    )


def cpu_efficiency_ratio(measured: Sequence[Measurement], baseline: Sequence[Measurement]) -> Spread | None:
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
        spread(
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
) -> Spread:
    """Latency at this percentile divided by the baseline's of the same round."""

    return spread(
        [
            percentile(measurement.latencies_ms, percent)
            / percentile(baseline_measurement.latencies_ms, percent)
            for measurement, baseline_measurement in zip(measured, baseline, strict=True)
        ]
    )


def cpu_cost_ratio(measured: Sequence[Measurement], baseline: Sequence[Measurement]) -> Spread:
    """CPU time per item divided by the baseline's of the same round."""
    return spread(
        [
            (measurement.cpu_seconds or 0.0)
            / measurement.completed
            / ((baseline_measurement.cpu_seconds or 0.0) / baseline_measurement.completed)
            for measurement, baseline_measurement in zip(measured, baseline, strict=True)
        ]
    )


def rate_spread(measurements: Sequence[Measurement]) -> Spread:
    return spread([measurement.rate for measurement in measurements])


def latency_spread(measurements: Sequence[Measurement], percent: float) -> Spread:
    """Of the latency at this percentile in each round."""
    return spread([percentile(measurement.latencies_ms, percent) for measurement in measurements])


def part_spread(measurements: Sequence[Measurement], part: str) -> Spread:
    return spread([measurement.parts[part] for measurement in measurements])


def part_ratio(measured: Sequence[Measurement], baseline: Sequence[Measurement], part: str) -> Spread:
    """The part divided by the baseline's of the same round."""
    return spread(
        [
            measurement.parts[part] / baseline_measurement.parts[part]
            for measurement, baseline_measurement in zip(measured, baseline, strict=True)
        ]
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank, without interpolation."""
    if not values:
        raise ValueError("no measurements")
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def median_cpu_microseconds(measurements: Sequence[Measurement]) -> float | None:
    """CPU microseconds of the server per item; None if CPU time was not measured."""
    cpu_microseconds_each = [
        measurement.cpu_seconds * 1e6 / measurement.completed
        for measurement in measurements
        if measurement.cpu_seconds and measurement.completed
    ]
    return statistics.median(cpu_microseconds_each) if cpu_microseconds_each else None
