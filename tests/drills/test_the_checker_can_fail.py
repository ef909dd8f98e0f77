"""The checker: a ledger and stores that agree hold; each invariant, violated, is named."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from drills import reading
from drills.checker import Bounds, Found, check
from drills.evidence import Evidence
from drills.ledger import OK, PUT_OFF, REFUSED, UNKNOWN, Attempt, Frame, Join, Ledger

BOUNDS = Bounds(longest=2.0, critical_p99=1.0)
CODE = "00000000-03e8-7000-8000-000000000000"
"""Born at 1.000 s."""
ROW = "row-of-the-code"


class World:
    """Ann and Ben act, Ann listens; everything is in order until a test disturbs it."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.evidence = Evidence()
        self.bounds = BOUNDS
        self._clock = 2.0
        self.code()
        for n in range(5):
            self.says("like", "ben", f"p{n}", count=1, active=True)
            self.says("unlike", "ann", f"p{n}", count=1, active=False)
            self.says("read", "ben", f"p{n}", count=1, active=True, comments=0)
            self.says("comment", "ben", f"p{n} mark-{n}")
        self.evidence.wishes = {"likes": {(f"p{n}", "ben"): True for n in range(5)}, "follows": {}}
        self.evidence.comments = [f"mark-{n}" for n in range(5)]
        self.evidence.counts = {f"p{n}": (1, 1) for n in range(5)}
        self.evidence.shown = [dict(self.evidence.counts), dict(self.evidence.counts)]
        stage = {"name": "bridge", "in": 5, "out": 4, "held": 0, "failed": 1}
        self.evidence.stages = [stage]
        self.evidence.memory = {"web": [100.0, 120.0]}

    def code(self) -> None:
        """Five codes for Ann; the frames of four more rows tell nothing new."""
        for n in range(5):
            event = f"00000000-{1000 + n * 50:04x}-7000-8000-000000000000"
            event = f"{1000 + n * 50:012x}"
            event = f"{event[:8]}-{event[8:]}-7000-8000-000000000000"
            sent = 1.0 + n * 0.05
            self.ledger.attempts.append(
                Attempt(
                    -n - 1,
                    1,
                    "otp",
                    "ann",
                    "ann",
                    sent,
                    outcome=OK,
                    answered=sent + 0.01,
                    status=200,
                )
            )
            self.evidence.critical.setdefault("ann", []).append((f"{ROW}-{n}", event))
            self.frame(n + 1, id=f"{ROW}-{n}", at=sent + 0.2)
        self.ledger.joins.append(Join("ann", 0.5, "epoch", 0, False, True))
        self.evidence.frame_seq = {"ann": 5}
        self.evidence.frames = {("ann", n) for n in range(1, 6)}
        self.evidence.logged = set(self.evidence.frames)

    def frame(self, seq: int | None, **more: object) -> None:
        given = {"id": f"row-{seq}", "at": 1.0, "version": 1, "event": "notification"} | more
        self.ledger.frames.append(
            Frame(who="ann", seq=seq, type="OTP", live=True, **given)  # type: ignore[arg-type]
        )

    def says(
        self, kind: str, who: str, what: str, outcome: str = OK, status: int = 200, **answer: object
    ) -> Attempt:
        self._clock += 0.1
        attempt = Attempt(
            len(self.ledger.attempts) + 100, 1, kind, who, what, self._clock, outcome=outcome,
            answered=self._clock + 0.05, status=status, answer=dict(answer),
        )  # fmt: skip
        self.ledger.attempts.append(attempt)
        return attempt

    def found(self) -> Found:
        return check(self.ledger, self.evidence, self.bounds)


def test_a_world_in_order_holds() -> None:
    found = World().found()
    assert (found.lost, found.doubled, found.faults) == ([], [], {})


def test_the_last_word_of_a_repeat_whose_first_answer_was_lost_stands() -> None:
    world = World()
    world.bounds = replace(BOUNDS, may_cut=True)
    world.says("like", "cem", "p0", UNKNOWN, 0)
    assert world.found().holds(0)
    world.evidence.wishes["likes"]["p0", "cem"] = True
    assert world.found().holds(0)


Disturb = Callable[[World], object]


def lost_like(world: World) -> None:
    world.says("like", "cem", "p0", count=2, active=True)


def lost_unlike(world: World) -> None:
    world.says("unlike", "ben", "p0", count=0, active=False)


def late_zombie(world: World) -> None:
    """An older unknown word stands over a newer acknowledged one."""
    world.bounds = replace(BOUNDS, may_cut=True)
    world.says("unlike", "ben", "p1", UNKNOWN, 0)
    world.says("like", "ben", "p1", count=1, active=True)
    world.evidence.wishes["likes"]["p1", "ben"] = False


def lost_comment(world: World) -> None:
    world.evidence.comments.remove("mark-3")


def lost_code(world: World) -> None:
    world.evidence.critical["ann"].pop()


def unlogged(world: World) -> None:
    world.evidence.logged.remove(("ann", 2))


@pytest.mark.parametrize(
    "disturb", [lost_like, lost_unlike, late_zombie, lost_comment, lost_code, unlogged]
)
def test_what_was_acknowledged_and_is_not_there_is_lost(disturb: Disturb) -> None:
    world = World()
    disturb(world)
    assert len(world.found().lost) == 1


def unwished(world: World) -> None:
    world.evidence.wishes["likes"]["p3", "nobody"] = True


def comment_twice(world: World) -> None:
    world.evidence.comments.append("mark-3")


def refused_comment(world: World) -> None:
    world.says("comment", "ben", "p0 refused", REFUSED, 409)
    world.evidence.comments.append("refused")


def foreign_comment(world: World) -> None:
    world.evidence.comments.append("of nobody")


def code_twice(world: World) -> None:
    world.evidence.critical["ann"] += [("a", CODE)]


@pytest.mark.parametrize(
    "disturb", [unwished, comment_twice, refused_comment, foreign_comment, code_twice]
)
def test_what_nobody_said_or_is_there_twice_is_doubled(disturb: Disturb) -> None:
    world = World()
    disturb(world)
    assert len(world.found().doubled) == 1


def idle(world: World) -> None:
    world.ledger.attempts = [one for one in world.ledger.attempts if one.kind != "read"]


def refused_without_retry_after(world: World) -> None:
    world.bounds = replace(BOUNDS, may_put_off=frozenset({"like"}))
    world.says("like", "ben", "p0", PUT_OFF, 503).code = "redis_unavailable"


def refused_without_code(world: World) -> None:
    world.bounds = replace(BOUNDS, may_put_off=frozenset({"like"}))
    world.says("like", "ben", "p0", PUT_OFF, 429).retry_after = "1"


def crash(world: World) -> None:
    world.says("read", "ben", "p0", UNKNOWN, 500).code = "internal"


def put_off_for_nothing(world: World) -> None:
    said = world.says("like", "ben", "p0", PUT_OFF, 503)
    said.code, said.retry_after = "busy", "1"


def refused_in_order(world: World) -> None:
    world.says("like", "ben", "p0", REFUSED, 404)


def cut(world: World) -> None:
    world.says("read", "ben", "p0", UNKNOWN, 0)


def hangs(world: World) -> None:
    world.says("read", "ben", "p0").answered += 2.1


def falls(world: World) -> None:
    world.says("read", "ben", "p0", count=0, active=True, comments=1)


def comments_fall(world: World) -> None:
    world.says("read", "ben", "p0", comments=2)
    world.says("read", "ben", "p0", comments=1)


def own_like_unseen(world: World) -> None:
    world.says("read", "ben", "p0", count=1, active=False)


def never_heard(world: World) -> None:
    world.evidence.frame_seq["ann"] = 6


def heard_of_nothing(world: World) -> None:
    world.frame(9)


def renumbered(world: World) -> None:
    world.evidence.frame_seq["ann"] = 6
    world.frame(6, id=f"{ROW}-2", version=1)


def changed_repeat(world: World) -> None:
    world.frame(3, id=f"{ROW}-2", version=7)


def out_of_order(world: World) -> None:
    world.evidence.frame_seq["ann"] = 7
    world.frame(7)
    world.frame(6)


def badge_backwards(world: World) -> None:
    world.frame(None, event="unread_count", id=None, version=4)
    world.frame(None, event="unread_count", id=None, version=3)


def told_to_reload(world: World) -> None:
    world.ledger.joins.append(Join("ann", 3.0, "epoch", 5, False, False))


def late_code(world: World) -> None:
    world.ledger.frames = [replace(one, at=one.at + 2) for one in world.ledger.frames]


def unheard_code(world: World) -> None:
    world.ledger.frames[4] = replace(world.ledger.frames[4], id="another row")


def tables(world: World) -> None:
    world.evidence.books = ["row 1: rang 2, announced 1"]


def api_differs(world: World) -> None:
    world.evidence.shown[1]["p0"] = (2, 1)


def poison_vanished(world: World) -> None:
    world.bounds = replace(BOUNDS, poison=frozenset({("low", "0:1")}))


def good_put_aside(world: World) -> None:
    world.evidence.dead_letters = {("low", "0:2")}


def unbalanced(world: World) -> None:
    world.evidence.stages[0]["in"] = 6


def unknown_figure(world: World) -> None:
    world.evidence.stages[0]["held"] = None


def still_held(world: World) -> None:
    world.evidence.stages[0] |= {"in": 6, "held": 1}


def grows(world: World) -> None:
    world.evidence.memory["web"].append(601.0)


@pytest.mark.parametrize(
    ("disturb", "invariant"),
    [
        (idle, "load"),
        (refused_without_retry_after, "answers"),
        (refused_without_code, "answers"),
        (crash, "answers"),
        (put_off_for_nothing, "answers"),
        (refused_in_order, "answers"),
        (cut, "answers"),
        (hangs, "longest answer"),
        (falls, "never backwards"),
        (comments_fall, "never backwards"),
        (own_like_unseen, "own writes"),
        (never_heard, "sockets"),
        (heard_of_nothing, "sockets"),
        (renumbered, "sockets"),
        (changed_repeat, "sockets"),
        (out_of_order, "sockets"),
        (badge_backwards, "sockets"),
        (told_to_reload, "sockets"),
        (late_code, "critical in time"),
        (unheard_code, "critical in time"),
        (tables, "tables"),
        (api_differs, "counts"),
        (poison_vanished, "dead letters"),
        (good_put_aside, "dead letters"),
        (unbalanced, "figures"),
        (unknown_figure, "figures"),
        (still_held, "figures"),
        (grows, "memory"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_each_invariant_that_is_violated_is_named(disturb: Disturb, invariant: str) -> None:
    world = World()
    disturb(world)
    assert list(world.found().faults) == [invariant]


def test_a_count_may_fall_by_the_unlikes_that_lie_between_two_looks() -> None:
    world = World()
    world.says("unlike", "ben", "p0", count=0, active=False)
    world.says("read", "ann", "p0", count=0, active=False, comments=1)
    world.evidence.wishes["likes"]["p0", "ben"] = False
    assert world.found().faults == {}


@pytest.mark.parametrize(
    ("came", "live", "holds"), [(7.9, True, True), (8.1, True, False), (4.0, False, False)]
)
def test_live_push_is_back_five_seconds_after_redis(came: float, live: bool, holds: bool) -> None:
    world = World()
    world.bounds = replace(BOUNDS, returns=(1.0, 3.0))
    told = Frame("ben", 2.0, "notification", "before", 1, 1, "LIKE", True)
    world.ledger.frames += [told, replace(told, at=came, id="after", seq=2, live=live)]

    assert ("live push" not in world.found().faults) is holds


@pytest.mark.parametrize(("missed", "holds"), [(300, False), (301, True)])
def test_who_missed_more_than_the_contract_tells_may_have_to_load_afresh(
    missed: int, holds: bool
) -> None:
    world = World()
    world.evidence.frame_seq["ann"] = 5 + missed
    world.ledger.joins.append(Join("ann", 3.0, "epoch", 5 + missed, False, False))

    assert ("sockets" not in world.found().faults) is holds


@pytest.mark.parametrize(("put_off", "holds"), [(1, True), (3, False)])
def test_where_a_way_remains_one_in_fifty_may_be_put_off(put_off: int, holds: bool) -> None:
    world = World()
    for n in range(100):
        late = n < put_off
        outcome, status = (PUT_OFF, 503) if late else (OK, 200)
        said = world.says("like", "ben", "p0", outcome, status, count=1, active=True)
        said.code, said.retry_after = ("busy", "1") if late else (None, None)
    world.bounds = replace(BOUNDS, may_put_off=frozenset({"like"}), rarely=frozenset({"like"}))

    assert ("put off" not in world.found().faults) is holds


def test_only_a_machine_that_is_late_itself_may_put_off_one_request_in_a_hundred() -> None:
    world = World()
    for _ in range(100):
        world.says("read", "ben", "p0", count=1, active=True, comments=1)
    put_off_for_nothing(world)
    assert list(world.found().faults) == ["answers"]
    world.ledger.lateness = 1.1
    assert world.found().faults == {}
    put_off_for_nothing(world)
    assert list(world.found().faults) == ["answers"]


def test_looks_that_say_themselves_that_they_lag_are_not_held_against_anybody() -> None:
    world = World()
    world.says("read", "ben", "p0", count=0, active=False, comments=0, stale=True)
    assert world.found().faults == {}


def normal_late(world: World) -> list[str]:
    """Redis was back at 2.0 s and had 10 s."""
    return reading.normal_late(world.ledger, (2.0,), 10.0)


def likes_at(world: World, sent: float, seconds: float, **answer: object) -> None:
    one = world.says("like", "ben", "p0", count=1, active=True, **answer)
    one.sent, one.answered = sent, sent + seconds


def test_answers_that_are_stale_soon_after_an_outage_are_in_order() -> None:
    world = World()
    likes_at(world, 0.5, 0.05)
    likes_at(world, 5.0, 0.4, stale=True)
    likes_at(world, 15.0, 0.05)
    assert normal_late(world) == []


def test_an_answer_that_is_stale_later_is_named() -> None:
    world = World()
    likes_at(world, 15.0, 0.05, stale=True)
    assert normal_late(world) == ["an answer was stale 13.1 s after Redis's return"]


def test_writes_that_stay_slow_after_an_outage_are_named() -> None:
    world = World()
    likes_at(world, 0.5, 0.05)
    likes_at(world, 15.0, 0.4)
    assert normal_late(world) == ["writes take 400 ms, before the outage 50 ms"]
