"""Rest: nothing is under way any more, neither in the stores nor on the way to the sockets.

In    tables, Redis, Kafka's offsets, the ledger as it is written
Out   drills/stage.py
"""

import time
from pathlib import Path
from typing import Any

from app.offsets import offsets
from drills import evidence as looking
from drills import ledger
from drills.books import Books
from drills.cast import Cast
from drills.evidence import Evidence
from drills.rig import Rig
from drills.words import comments, criticals, wishes


def come_to_rest(rig: Rig, cast: Cast, path: Path, seconds: float, may_lose: int) -> str:
    """Waits until nothing is under way; what still was when the time was over."""
    give_up = time.monotonic() + seconds
    while left := _under_way(rig, cast, path, may_lose):
        if time.monotonic() > give_up:
            break
        time.sleep(0.25)
    return left


def _under_way(rig: Rig, cast: Cast, path: Path, may_lose: int) -> str:
    """What is not at rest yet, in words; empty when all is. The quickest look first."""
    if left := [*Books(rig.engine, rig.redis).unsettled(), *_unsent(rig)]:
        return "; ".join(left)
    book = ledger.read(path)
    seen = Evidence(
        wishes=looking.stored_wishes(rig, cast),
        comments=looking.stored_comments(rig, cast),
        critical=looking.stored_codes(rig, cast),
    )
    lost = [one for judge in (wishes, comments, criticals) for one in judge(book, seen)[0]]
    if len(lost) > may_lose:
        return f"{len(lost)} acknowledged are not there, e.g. {lost[0]}"
    if lag := {f"{one.group}/{one.partition}": one.lag for one in _lags(rig) if one.lag}:
        return f"lag {lag}"
    return _unheard(rig, cast, book)


def _unsent(rig: Rig) -> list[str]:
    ((many,),) = rig.rows("select count(*) from outgoing_messages where status = 'waiting'")
    return [f"{many} e-mails and text messages are not sent"] if many else []


def _unheard(rig: Rig, cast: Cast, book: ledger.Ledger) -> str:
    highest: dict[str, int] = {}
    for one in book.frames:
        highest[one.who] = max(highest.get(one.who, 0), one.seq or 0)
    numbers = looking.frame_numbers(rig, cast.listeners)
    behind = [who for who, seq in numbers.items() if highest.get(who, 0) < seq]
    return f"{len(behind)} sockets have not heard their last frame" if behind else ""


def _lags(rig: Rig) -> list[Any]:
    address = rig.environment["KAFKA_BOOTSTRAP_SERVERS"]
    return list(offsets(tuple(address.split(","))))
