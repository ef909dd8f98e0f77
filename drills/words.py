"""Words: what people said, held against what is kept of it. Pure.

In    drills/ledger.py, drills/evidence.py
Out   drills/checker.py: what is lost, what is too much
"""

from drills.evidence import Evidence
from drills.ledger import OK, PUT_OFF, REFUSED, UNKNOWN, WISHES, WRITES, Attempt, Ledger

Judgement = tuple[list[str], list[str]]
"""What is lost, what is too much."""


def possible(attempts: list[Attempt]) -> set[bool]:
    """The states that a pair may be in after these words, in the order they were said."""
    states = {False}
    for one in attempts:
        if one.outcome == OK:
            states = {WISHES[one.kind]}
        elif one.outcome in (UNKNOWN, PUT_OFF):
            states = states | {WISHES[one.kind]}
    return states


def wishes(ledger: Ledger, evidence: Evidence) -> Judgement:
    """Each pair stands as its last acknowledged word says; nothing stands that nobody said."""
    lost, extra = [], []
    for kinds, stored in ((("like", "unlike"), "likes"), (("follow", "unfollow"), "follows")):
        said: dict[tuple[str, str], list[Attempt]] = {}
        for one in ledger.of(*kinds):
            said.setdefault((one.object, one.actor), []).append(one)
        there = evidence.wishes.get(stored, {})
        for pair, attempts in said.items():
            stands = there.get(pair, False)
            if stands not in possible(attempts):
                lost.append(f"{stored} {pair} is {stands}: {_story(attempts)}")
        extra += [f"{stored} {pair} was never wished" for pair in there if pair not in said]
    return lost, extra


def comments(ledger: Ledger, evidence: Evidence) -> Judgement:
    """Each acknowledged comment is there once; an unknown one at most once; no other is."""
    lost, extra = [], []
    there: dict[str, int] = {}
    for mark in evidence.comments:
        there[mark] = there.get(mark, 0) + 1
    operations = ledger.operations("comment")
    marks = {attempts[0].object.split()[1]: attempts for attempts in operations.values()}
    for mark, attempts in marks.items():
        many = there.pop(mark, 0)
        outcomes = [one.outcome for one in attempts]
        if OK in outcomes and many == 0:
            lost.append(f"comment {mark}: {_story(attempts)}")
        if many > 1 or (many and set(outcomes) == {REFUSED}):
            extra.append(f"comment {mark} is there {many} times: {_story(attempts)}")
    return lost, extra + [f"comment {mark} was never written by anyone" for mark in there]


def criticals(ledger: Ledger, evidence: Evidence) -> Judgement:
    """Per person: as many codes as were acknowledged, and no more than were asked for."""
    lost, extra = [], []
    people = {one.actor for one in ledger.of("otp")} | set(evidence.critical)
    for who in people:
        attempts = [one for one in ledger.of("otp") if one.actor == who]
        sure = sum(one.outcome == OK for one in attempts)
        most = sum(one.outcome != REFUSED for one in attempts)
        many = len(evidence.critical.get(who, []))
        if many < sure:
            lost += [f"{sure - many} codes of {who}"] * (sure - many)
        if many > most:
            extra.append(f"{who} asked for {most} codes and got {many}")
    return lost, extra


def tally(ledger: Ledger) -> dict[str, int]:
    """Writes by how their last attempt was answered."""
    outcomes = [
        OK if any(one.outcome == OK for one in attempts) else attempts[-1].outcome
        for attempts in ledger.operations(*WRITES).values()
    ]
    return {
        "acknowledged": outcomes.count(OK),
        "refused": outcomes.count(REFUSED) + outcomes.count(PUT_OFF),
        "unknown": outcomes.count(UNKNOWN),
    }


def _story(attempts: list[Attempt]) -> str:
    return ", ".join(
        f"{one.kind} {one.outcome} {one.sent:.3f}-{one.answered:.3f}" for one in attempts[-4:]
    )
