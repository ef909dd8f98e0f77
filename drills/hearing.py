"""What sockets heard: every frame, in order, once told; and critical ones in time. Pure.

In    drills/ledger.py, drills/evidence.py
Out   drills/checker.py
"""

from drills.evidence import Evidence, born_ms
from drills.ledger import OK, Attempt, Frame, Join, Ledger

CLOCK_MS = 20
MOST_MISSED = 300
"""The contract's: who has missed more is told to load afresh."""


def faults(ledger: Ledger, evidence: Evidence, may_reload: bool) -> list[str]:
    out = []
    for who, last in evidence.frame_seq.items():
        frames = [one for one in ledger.frames if one.who == who]
        joins = [one for one in ledger.joins if one.who == who and one.epoch]
        if not joins:
            out.append(f"{who} was never let in")
            continue
        told = [one for one in joins if not one.recovered and not one.first]
        reloads = [one.seq or 0 for one in told]
        needless = [one.seq for one in told if _missed(one, frames) <= MOST_MISSED]
        if needless and not may_reload:
            out.append(f"{who} was told to load afresh at {needless}")
        base = max([joins[0].seq or 0, *reloads])
        numbered = [one for one in frames if one.seq is not None]
        out += _complete(who, numbered, base, last)
        out += _identity(who, numbered)
        out += _order(who, numbered, reloaded=bool(reloads))
        out += _badges(who, frames)
    return out


def _missed(join: Join, frames: list[Frame]) -> int:
    heard = [one.seq or 0 for one in frames if one.at <= join.at]
    return (join.seq or 0) - max(heard, default=0)


def _complete(who: str, frames: list[Frame], base: int, last: int) -> list[str]:
    heard = {one.seq for one in frames}
    missing = [seq for seq in range(base + 1, last + 1) if seq not in heard]
    beyond = sorted(seq for seq in heard if seq is not None and seq > last)
    out = [f"{who} never heard of {missing[:10]} ({len(missing)} of {last})"] if missing else []
    return out + ([f"{who} heard of {beyond}, which is not there"] if beyond else [])


def _identity(who: str, frames: list[Frame]) -> list[str]:
    """A repeat carries the same id and version; nothing is told under two numbers."""
    out = []
    by_seq: dict[int | None, tuple[str, str | None, int | None]] = {}
    by_version: dict[tuple[str | None, int | None], int | None] = {}
    for one in frames:
        told = (one.event, one.id, one.version)
        if by_seq.setdefault(one.seq, told) != told:
            out.append(f"{who}: number {one.seq} was {by_seq[one.seq]} and {told}")
        known = by_version.setdefault((one.id, one.version), one.seq)
        if known != one.seq:
            out.append(f"{who}: {told} came under {known} and {one.seq}")
    return out


def _order(who: str, frames: list[Frame], reloaded: bool) -> list[str]:
    """A page drops what is below the highest number it has: coming late is not coming at all."""
    if reloaded:
        return []
    out, highest, seen = [], 0, set()
    for one in frames:
        seq = one.seq or 0
        if seq not in seen and seq < highest:
            out.append(f"{who} heard {seq} for the first time after {highest}")
        seen.add(seq)
        highest = max(highest, seq)
    return out


def _badges(who: str, frames: list[Frame]) -> list[str]:
    out, highest = [], -1
    for one in frames:
        if one.event == "unread_count" and one.version is not None:
            if one.version < highest:
                out.append(f"{who}: badge {one.version} came after {highest}")
            highest = max(highest, one.version)
    return out


def dwells(ledger: Ledger, evidence: Evidence) -> list[float | None]:
    """Per acknowledged code: seconds from the request to the socket; None if it never came. One
    that has no row is lost, which is counted elsewhere."""
    heard: dict[tuple[str, str | None], float] = {}
    for frame in ledger.frames:
        key = (frame.who, frame.id)
        heard[key] = min(frame.at, heard.get(key, frame.at))
    out: list[float | None] = []
    for one in ledger.of("otp"):
        if one.outcome == OK and (ids := _ids(one, evidence)):
            at = [heard[one.actor, i] for i in ids if (one.actor, i) in heard]
            out.append(min(at) - one.sent if at else None)
    return out


def _ids(one: Attempt, evidence: Evidence) -> list[str]:
    """The row that this request made, and its event: the event's id says when it was born."""
    begin, end = one.sent * 1000 - CLOCK_MS, one.answered * 1000 + CLOCK_MS
    return [
        name
        for row, event in evidence.critical.get(one.actor, [])
        if begin <= born_ms(event) <= end
        for name in (row, event)
    ]


def push_back(ledger: Ledger, returned: float) -> float | None:
    """Seconds from a return of Redis to the first frame that came live, and not by the way of the
    critical ones, which needs no Redis; None if none came."""
    asked = {one.actor for one in ledger.of("otp")}
    live = (one.at for one in ledger.frames if one.live and one.who not in asked)
    first = min((at for at in live if at > returned), default=None)
    return None if first is None else first - returned


def push_late(ledger: Ledger, returns: tuple[float, ...], bound: float) -> list[str]:
    """Of several returns in a row the last one counts: before it Redis was away again."""
    if not returns:
        return []
    took = push_back(ledger, returns[-1])
    if took is None:
        return ["no live frame came after Redis was back"]
    return [f"live push was back after {took:.1f} s, more than {bound:.1f}"] * (took > bound)


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))] if values else 0.0


def critical_late(ledger: Ledger, evidence: Evidence, bound: float) -> list[str]:
    found = dwells(ledger, evidence)
    never = found.count(None)
    out = [f"{never} acknowledged codes never reached their socket"] if never else []
    slow = p99([one for one in found if one is not None])
    return [*out, f"p99 of codes is {slow:.2f} s, more than {bound:.1f}"] if slow > bound else out
