"""The waterfall of one event: its hops from the request to the recipient's browser, with times and durations.

In: the steps that the traces and the tables have of an event (app/operations/event_waterfalls.py). Out: hops
in the order of the pipeline. A hop without a time waits, was not needed, failed or was not recorded, and
says so. The texts are for the person who caused the event: none tells whether the recipient muted or blocked
them. Administrators are told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from app.domain.event_status import BYPASSED_REDIS_OUTCOME, DELIVERED_OUTCOMES, GATHERED_OUTCOME

_UNANNOUNCED_TEXT = "It ended without an announcement."
_END_TEXT_BY_OUTCOME = {
    "self": "Nobody is told of their own actions.",
    "retracted": "It was taken back before it was announced.",
    "expired": "The post or the account no longer exists.",
    "failed": "It could not be processed. Administrators see the reason.",
}
_ADMIN_TEXT_BY_OUTCOME = {
    "muted": "The recipient muted the person or the post.",
    "blocked": "One of the two blocked the other.",
    "preference": "The settings of the recipient switch this kind off.",
}
_WAITING_TEXTS = {
    "ingress": "Waits to be accepted.",
    "kafka": "Accepted. Waits to be moved to Kafka.",
    "window": "The window is closing.",
    "transaction": "Waits to be written to the tables.",
    "outbox": "Written. The recipient is told later.",
    "ready": "Waits to be published.",
    "socket": "Waits to be pushed to the recipient.",
    "browser": "No browser of the recipient has shown it yet.",
}


class HopName(StrEnum):
    REQUEST = "request"
    INGRESS = "ingress"
    FALLBACK = "fallback"
    KAFKA = "kafka"
    WINDOW = "window"
    TRANSACTION = "transaction"
    OUTBOX = "outbox"
    READY = "ready"
    SOCKET = "socket"
    BROWSER = "browser"


class HopState(StrEnum):
    DONE = "done"
    WAITING = "waiting"
    """The event is here."""
    PENDING = "pending"
    """The event comes here later."""
    SKIPPED = "skipped"
    FAILED = "failed"
    MISSING = "missing"
    """The event went on, and no time was recorded."""


OPEN_STATES = frozenset({HopState.WAITING, HopState.PENDING})


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step of an event as it was recorded. `outcome` is empty for steps without one."""

    at: datetime
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """`duration_ms`: since the last hop before it that has a time. `due_at`: when its window closes.
    `admin_detail`: what only administrators are told instead of `detail`."""

    name: HopName
    state: HopState
    detail: str = ""
    at: datetime | None = None
    duration_ms: int | None = None
    due_at: datetime | None = None
    admin_detail: str = ""

    def detail_for(self, is_admin: bool) -> str:
        return self.admin_detail if is_admin and self.admin_detail else self.detail

    @property
    def duration_text(self) -> str:
        """Empty when there is none, and for hops of one transaction, which have the same time."""
        return format_duration(self.duration_ms) if self.duration_ms else ""


@dataclass(frozen=True, slots=True)
class Waterfall:
    hops: tuple[Hop, ...]

    @property
    def is_complete(self) -> bool:
        """Whether no hop can change any more."""
        return not any(hop.state in OPEN_STATES for hop in self.hops)

    @property
    def current_hop(self) -> Hop:
        """The first hop where the event waits or failed, else the last one."""
        stops = {HopState.WAITING, HopState.FAILED}
        return next((hop for hop in self.hops if hop.state in stops), self.hops[-1])

    @property
    def total_text(self) -> str:
        """From the first to the last time."""
        times = [hop.at for hop in self.hops if hop.at is not None]
        return format_duration(_milliseconds_between(times[0], times[-1]) if times else 0)


def requested_at_from_event_id(event_id: str) -> datetime | None:
    """When the id was made, which is during the request. None unless it is a UUIDv7."""
    parsed = UUID(event_id)
    return datetime.fromtimestamp((parsed.int >> 80) / 1000, UTC) if parsed.version == 7 else None


def format_duration(milliseconds: int) -> str:
    """Such as 12 ms, 1.31 s or 1 min 52 s."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.2f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {seconds} s"


def build_waterfall(
    steps: Mapping[str, RecordedStep], requested_at: datetime | None, due_at: datetime | None
) -> Waterfall:
    """`steps` by the names of app/operations/trace.py; `due_at`: when the open window of the event closes."""
    time_by_hop = _times_of_hops(steps, requested_at)
    final_outcome = _final_outcome(steps)
    names = _hops_on_the_way(steps, time_by_hop)
    skipped = _skipped_texts(steps, final_outcome, time_by_hop)
    if final_outcome is not None and (ends_at := _hop_of_the_end(final_outcome, skipped)):
        names = names[: names.index(ends_at) + 1]
    last_reached = max((index for index, name in enumerate(names) if name in time_by_hop), default=-1)
    hops: list[Hop] = []
    previous_at: datetime | None = None
    for index, name in enumerate(names):
        at = time_by_hop.get(name)
        if name in skipped:
            is_failed = final_outcome == "failed" and name is HopName.TRANSACTION
            state = HopState.FAILED if is_failed else HopState.SKIPPED
            admin_detail = _ADMIN_TEXT_BY_OUTCOME.get(final_outcome or "", "")
            is_the_end = name is HopName.OUTBOX
            hops.append(Hop(name, state, skipped[name], admin_detail=admin_detail if is_the_end else ""))
        elif at is not None:
            duration_ms = None if previous_at is None else _milliseconds_between(previous_at, at)
            hops.append(Hop(name, HopState.DONE, "", at, duration_ms))
            previous_at = at
        elif index < last_reached:
            hops.append(Hop(name, HopState.MISSING, "No time was recorded."))
        else:
            hops.append(_hop_ahead(name, hops, steps, due_at))
    return Waterfall(tuple(hops))


def _times_of_hops(
    steps: Mapping[str, RecordedStep], requested_at: datetime | None
) -> dict[HopName, datetime]:
    """The first of the named steps that was recorded gives the time of a hop."""
    is_gathered = _is_gathered(steps)
    names_by_hop: dict[HopName, Sequence[str]] = {
        HopName.INGRESS: ("accepted",),
        HopName.FALLBACK: ("sent_to_fallback", "queued"),
        HopName.KAFKA: ("published", "sent from the queue"),
        # The transaction of a window has the time at which it started.
        HopName.WINDOW: ("written", "closed") if is_gathered else (),
        # An event that changes no row of a group has the time at which its outcome was recorded.
        HopName.TRANSACTION: ("written", "closed") if is_gathered else ("written", "aggregated"),
        HopName.OUTBOX: ("announced",),
        HopName.READY: ("relayed",),
        HopName.SOCKET: ("emitted",),
        HopName.BROWSER: ("shown",),
    }
    times = {} if requested_at is None else {HopName.REQUEST: requested_at}
    for hop_name, step_names in names_by_hop.items():
        recorded = [steps[name].at for name in step_names if name in steps]
        if recorded:
            times[hop_name] = recorded[0]
    return times


def _is_gathered(steps: Mapping[str, RecordedStep]) -> bool:
    return "closed" in steps or ("aggregated" in steps and steps["aggregated"].outcome == GATHERED_OUTCOME)


def _final_outcome(steps: Mapping[str, RecordedStep]) -> str | None:
    """The coded outcome; None while there is none."""
    if "dead letter" in steps:
        return "failed"
    if "closed" in steps:
        return steps["closed"].outcome or None
    outcome = steps["aggregated"].outcome if "aggregated" in steps else ""
    return None if outcome in ("", GATHERED_OUTCOME) else outcome


def _hops_on_the_way(
    steps: Mapping[str, RecordedStep], time_by_hop: Mapping[HopName, datetime]
) -> list[HopName]:
    """The fallback queue is on the way of events that went through it."""
    left_out = set()
    if HopName.FALLBACK not in time_by_hop or _bypassed_redis(steps):
        left_out.add(HopName.FALLBACK)
    if HopName.REQUEST not in time_by_hop:
        left_out.add(HopName.REQUEST)
    if _bypassed_redis(steps):
        left_out |= {HopName.KAFKA, HopName.WINDOW}
    return [name for name in HopName if name not in left_out]


def _bypassed_redis(steps: Mapping[str, RecordedStep]) -> bool:
    """Whether the event was written during a Redis failover."""
    return "queued" in steps and steps["queued"].outcome == BYPASSED_REDIS_OUTCOME


def _skipped_texts(
    steps: Mapping[str, RecordedStep], final_outcome: str | None, time_by_hop: Mapping[HopName, datetime]
) -> dict[HopName, str]:
    """Hops that were not needed, and the one at which the event ended, each with the reason."""
    texts: dict[HopName, str] = {}
    if _bypassed_redis(steps):
        texts[HopName.INGRESS] = "Redis was unavailable, so it was written to the tables at once."
    if final_outcome in DELIVERED_OUTCOMES and not _is_gathered(steps):
        texts[HopName.WINDOW] = "Not needed: it was announced at once."
    if final_outcome == "merged" and HopName.OUTBOX not in time_by_hop:
        texts[HopName.OUTBOX] = "Nothing new to announce: the recipient was told before."
    elif final_outcome is not None and final_outcome not in DELIVERED_OUTCOMES:
        end = HopName.TRANSACTION if final_outcome in ("expired", "failed") else HopName.OUTBOX
        texts[end] = _END_TEXT_BY_OUTCOME.get(final_outcome, _UNANNOUNCED_TEXT)
        if not _is_gathered(steps):
            texts[HopName.WINDOW] = "Not needed: nothing is announced."
    return texts


def _hop_of_the_end(final_outcome: str, skipped: Mapping[HopName, str]) -> HopName | None:
    """The last hop of an event that is not announced; None for one that is."""
    if final_outcome not in DELIVERED_OUTCOMES and HopName.TRANSACTION in skipped:
        return HopName.TRANSACTION
    return HopName.OUTBOX if HopName.OUTBOX in skipped else None


def _hop_ahead(
    name: HopName, hops: Sequence[Hop], steps: Mapping[str, RecordedStep], due_at: datetime | None
) -> Hop:
    """A hop that the event has not passed: the first one is where it waits."""
    if any(hop.state in OPEN_STATES for hop in hops):
        return Hop(name, HopState.PENDING)
    if name is HopName.WINDOW and not _is_gathered(steps):
        return Hop(name, HopState.WAITING, "Waits to be announced at once or gathered.")
    if name is HopName.WINDOW and due_at is not None:
        return Hop(name, HopState.WAITING, "Waits for the window until", due_at=due_at)
    if name is HopName.KAFKA and any(hop.name is HopName.FALLBACK for hop in hops):
        return Hop(name, HopState.WAITING, "Kafka is unavailable. It waits in the fallback queue.")
    return Hop(name, HopState.WAITING, _WAITING_TEXTS[name])


def _milliseconds_between(start: datetime, end: datetime) -> int:
    """Never negative: the clocks of the stores differ slightly."""
    return max(0, round((end - start).total_seconds() * 1000))
