"""What readers saw: one's own words at once, and counts that never fall without an unlike. Pure.

In    drills/ledger.py
Out   drills/checker.py
"""

import math
from statistics import median

from drills.ledger import OK, PUT_OFF, UNKNOWN, WISHES, Attempt, Ledger

SLOWER, SLACK_SECONDS = 3.0, 0.05
"""Writes after an outage may take so many times what they took before, and so much more."""


def counts_never_fall(ledger: Ledger) -> list[str]:
    """Of two looks at a post, the later one may show less only by the unlikes in between.

    A look lies somewhere between its sending and its answer, an unlike likewise, and an unlike
    whose answer is unknown may come at any time: it is allowed for ever after.
    """
    out = []
    for post in {one.object for one in ledger.of("like", "unlike", "read")}:
        out += _falls(post, [one for one in ledger.attempts if one.object == post])
    for post in {one.object for one in ledger.of("read")}:
        out += _comments_fall(post, [one for one in ledger.of("read") if one.object == post])
    return out


def _falls(post: str, attempts: list[Attempt]) -> list[str]:
    unlikes = [one for one in attempts if one.kind == "unlike"]
    sent = sorted(one.sent for one in unlikes)
    done = sorted(one.answered for one in unlikes if one.outcome == OK)
    looks = [one for one in attempts if _shows(one, "count")]
    ended = sorted(looks, key=lambda one: one.answered)
    out, highest, place = [], -1, 0
    # Each look is held against the highest of those that had ended when it was sent; raised by the
    # unlikes known to be in it, so that only later ones can explain a fall.
    for look in sorted(looks, key=lambda one: one.sent):
        while place < len(ended) and ended[place].answered < look.sent:
            before = ended[place]
            highest = max(highest, before.answer["count"] + _before(done, before.sent))
            place += 1
        if look.answer["count"] + _before(sent, look.answered) < highest:
            out.append(f"likes of {post} fell to {look.answer['count']} at {look.answered:.3f}")
    return out


def _comments_fall(post: str, reads: list[Attempt]) -> list[str]:
    """Nobody deletes a comment in a drill."""
    out, highest, place = [], -1, 0
    looks = [one for one in reads if _shows(one, "comments")]
    ended = sorted(looks, key=lambda one: one.answered)
    for look in sorted(looks, key=lambda one: one.sent):
        while place < len(ended) and ended[place].answered < look.sent:
            highest = max(highest, ended[place].answer["comments"])
            place += 1
        if look.answer["comments"] < highest:
            out.append(f"comments of {post} fell from {highest} to {look.answer['comments']}")
    return out


def own_writes(ledger: Ledger) -> list[str]:
    """Who reads sees their own last word, whichever process answers."""
    out = []
    states: dict[tuple[str, str], set[bool]] = {}
    for one in ledger.of("like", "unlike", "read"):
        pair = (one.object, one.actor)
        known = states.get(pair, {False})
        if one.kind != "read":
            wish = WISHES[one.kind]
            if one.outcome == OK:
                states[pair] = {wish}
            elif one.outcome in (UNKNOWN, PUT_OFF):
                states[pair] = known | {wish}
        elif _shows(one, "active") and one.answer["active"] not in known:
            out.append(f"{one.actor} was shown {one.answer['active']} of {one.object}")
    return out


def normal_again(ledger: Ledger, returned: float) -> float:
    """Seconds from a return of Redis until the last stale answer; 0 if there was none."""
    last = max((one.answered for one in ledger.attempts if _is_stale(one)), default=returned)
    return max(0.0, last - returned)


def normal_late(ledger: Ledger, returns: tuple[float, ...], bound: float) -> list[str]:
    """Of several returns in a row the last one counts. Normal operation: no answer is stale, and
    writes take about as long as before the outage."""
    if not returns or math.isinf(bound):
        return []
    took = normal_again(ledger, returns[-1])
    out = [f"an answer was stale {took:.1f} s after Redis's return"] if took > bound else []
    outage = min((one.sent for one in ledger.attempts if _is_stale(one)), default=returns[-1])
    before = usual_seconds(ledger, 0.0, outage)
    after = usual_seconds(ledger, returns[-1] + bound, math.inf)
    if after > SLOWER * before + SLACK_SECONDS:
        out.append(f"writes take {after * 1000:.0f} ms, before the outage {before * 1000:.0f} ms")
    return out


def usual_seconds(ledger: Ledger, since: float, until: float) -> float:
    """The median of what likes took that were sent in that time."""
    likes = [one for one in ledger.of("like") if one.outcome == OK and since <= one.sent < until]
    return median(one.seconds for one in likes) if likes else 0.0


def _is_stale(one: Attempt) -> bool:
    return bool(one.answer.get("stale"))


def _shows(one: Attempt, what: str) -> bool:
    """An answer that says itself that it may lag is no look."""
    return one.outcome == OK and what in one.answer and not one.answer.get("stale")


def _before(times: list[float], moment: float) -> int:
    import bisect

    return bisect.bisect_left(times, moment)
