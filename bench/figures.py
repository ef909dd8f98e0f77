"""The arithmetic: slices measured in turn, ratios within a round, medians and spread over rounds.

In    contestants, each a call that measures one slice
Out   rows for the table and the JSON

A shared machine moves by a factor of two within minutes, so rates of different minutes say
nothing. What stands beside each other in one round saw the same minute: ratios are taken there, and
only then summed up.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Slice:
    """What one contestant did in one turn, and what it cost."""

    done: int
    seconds: float
    cpu_seconds: float | None = None
    latencies_ms: tuple[float, ...] = ()
    transactions: int | None = None
    phases_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.done / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the quarters around it."""

    low: float
    median: float
    high: float


Rounds = dict[str, list[Slice]]
Compare = Callable[[Sequence[Slice], Sequence[Slice]], Spread]


@dataclass(slots=True)
class Figure:
    """One figure: its rows, what was counted beside the clock, and which promises were broken."""

    name: str
    title: str
    unit: str
    rounds: Rounds
    baseline: str
    beside: dict[str, str] = field(default_factory=dict)
    """Who is compared with another than the baseline."""
    compare: Compare | None = None
    """What `x baseline` means; by rate if nothing is said."""
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    goals: list["Goal"] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Promises that hold on any machine and did not here: these fail the run."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that was aimed at. A noisy machine may miss it: it is shown and fails nothing."""

    says: str
    reached: float
    wanted: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.reached <= self.wanted if self.at_most else self.reached >= self.wanted


def alternate(contestants: Mapping[str, Callable[[], Slice]], rounds: int) -> Rounds:
    """Everybody once per round; each round begins with another, so that nobody always follows the
    same neighbour."""
    names = list(contestants)
    measured: Rounds = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            measured[name].append(contestants[name]())
    return measured


def spread(values: Sequence[float]) -> Spread:
    if not values:
        raise ValueError("nothing was measured")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, median, high)


def ratio(of: Sequence[Slice], to: Sequence[Slice]) -> Spread:
    """How many times as fast, from pairs of the same round."""
    return spread([one.rate / other.rate for one, other in zip(of, to, strict=True)])


def cpu_ratio(of: Sequence[Slice], to: Sequence[Slice]) -> Spread | None:
    """The same by CPU: how often the baseline's work fits into the CPU of one. Neighbours on the
    machine slow everybody down, but they are not in this account."""
    pairs = [
        (one.cpu_seconds / one.done, other.cpu_seconds / other.done)
        for one, other in zip(of, to, strict=True)
        if one.cpu_seconds and other.cpu_seconds
    ]
    return spread([theirs / ours for ours, theirs in pairs]) if pairs else None


def slowness(of: Sequence[Slice], to: Sequence[Slice], percent: float = 50) -> Spread:
    """How many times as long it takes, by that percentile of each round."""

    def late(one: Slice) -> float:
        return percentile(one.latencies_ms, percent)

    return spread([late(one) / late(two) for one, two in zip(of, to, strict=True)])


def rates(slices: Sequence[Slice]) -> Spread:
    return spread([one.rate for one in slices])


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured, never one in between."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def latencies(slices: Sequence[Slice]) -> list[float]:
    return [ms for one in slices for ms in one.latencies_ms]


def cpu_us(slices: Sequence[Slice]) -> float | None:
    """CPU of the server per thing done; None where nobody looked."""
    spent = [one.cpu_seconds * 1e6 / one.done for one in slices if one.cpu_seconds and one.done]
    return statistics.median(spent) if spent else None
