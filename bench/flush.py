"""S2: 10,000 likes on one post become rows, against other ways to write the same rows.

The window is filled by the real script, then Flusher.step() is timed: claim, likes, counter, group
ledger with its 10,000 actors, frames, outbox, settle. The baselines write the likes only, into the
same table.
"""

import time
from collections.abc import Callable
from itertools import count

from sqlalchemy import text

from app.domain.events import SEQ_PER_MS, Event, Kind
from app.domain.ledger import Ring
from app.domain.windows import Verdict
from app.stores.ledger import Batch, Entry
from app.stores.subjects import PERSON
from app.stores.windows import Offered
from app.wiring import new_id
from bench import by_hand
from bench.by_hand import CONNECTIONS, Crowd
from bench.figures import Figure, Goal, Rounds, Slice, alternate, ratio, spread
from bench.people import people, posts
from bench.phases import Phases
from bench.stage import Stage
from workers.flusher import Flusher

LIKES = 10_000
FEW = 1_000
BEFORE = 500_000
PARTITION = "bench:0"
FLUSHER, UNNEST, COPY, MANY, NAIVE, NAIVE_64 = (
    "flusher: likes, group, frames",
    "INSERT ... SELECT unnest, one statement",
    "COPY to a temporary table, INSERT",
    f"executemany, {FEW:,} rows",
    f"INSERT + UPDATE + commit, {FEW:,} rows",
    f"the same from {CONNECTIONS} connections",
)
_PRELOAD = """
    set session_replication_role = replica;
    insert into likes (post_id, user_id, seq)
    select p, u, 1 from unnest(%s::uuid[]) p, unnest(%s::uuid[]) u;
    set session_replication_role = default;
"""


def figure(stage: Stage, rounds: int) -> Figure:
    crowd = _crowd(stage)
    phases = Phases(stage.parts.parts.engine)
    contestants = {
        FLUSHER: _flushing(crowd, phases),
        UNNEST: lambda: by_hand.timed(crowd, LIKES, by_hand.unnest),
        COPY: lambda: by_hand.timed(crowd, LIKES, by_hand.copy),
        MANY: lambda: by_hand.timed(crowd, FEW, by_hand.many),
        NAIVE: lambda: by_hand.timed(crowd, FEW, by_hand.one_by_one),
        NAIVE_64: lambda: by_hand.timed(crowd, FEW, by_hand.crowding, green=True),
    }
    for one in contestants.values():
        one()  # pages in memory, statements known
    measured = alternate(contestants, rounds)
    made = Figure("S2", f"{LIKES:,} likes on one post into the tables", "rows/s", measured, UNNEST)
    flush_ms = spread([one.seconds * 1000 for one in measured[FLUSHER]])
    made.goals = _goals(measured, flush_ms.median)
    made.facts[f"flush of {LIKES:,}"] = (
        f"{flush_ms.median:.0f} ms ({flush_ms.low:.0f}-{flush_ms.high:.0f})"
    )
    for name in measured[FLUSHER][0].phases_ms:
        some = spread([one.phases_ms[name] for one in measured[FLUSHER]])
        made.facts[f"  of it {name}"] = f"{some.median:.0f} ms"
    made.notes = [
        f"likes held {BEFORE:,} rows before the first round; a fresh post each time.",
        f"{FEW:,} rows where one by one would take too long; rates compare all the same.",
        "Transactions as PostgreSQL numbered them; the flusher's with that of the instant likes.",
        "The flusher writes a like twice (its row, its actor in the group); the others once.",
    ]
    most = max(one.transactions or 0 for one in measured[FLUSHER])
    if most > 5:
        made.broken.append(f"{LIKES:,} likes took {most} transactions; a handful is due")
    return made


def _goals(measured: Rounds, flush_ms: float) -> list[Goal]:
    def times(other: str) -> float:
        return ratio(measured[FLUSHER], measured[other]).median

    return [
        Goal(f"flush of {LIKES:,} in ms", flush_ms, 500, at_most=True),
        Goal("flusher / COPY", times(COPY), 0.5),
        Goal("flusher / one by one", times(NAIVE), 20),
        Goal(f"flusher / {CONNECTIONS} connections on the hot post", times(NAIVE_64), 80),
    ]


def _crowd(stage: Stage) -> Crowd:
    engine = stage.parts.parts.engine
    likers = people(engine, LIKES)
    [owner] = people(engine, 1)
    stage.parts.parts.memberships.warming.born(PERSON, owner, owner)
    full = posts(engine, owner, BEFORE // LIKES)
    crowd = Crowd(stage.environment["DATABASE_URL"], stage.parts, owner, likers)
    with by_hand.connection(crowd) as link, link.cursor() as cursor:
        cursor.execute(_PRELOAD, (full, likers))
    with by_hand.connection(crowd) as link:
        link.autocommit = True
        with link.cursor() as cursor:
            cursor.execute("vacuum analyze likes")
            cursor.execute("checkpoint")
    return crowd


def _flushing(crowd: Crowd, phases: Phases) -> Callable[[], Slice]:
    wired, parts = crowd.parts, crowd.parts.parts
    windows = phases.watched(parts.redis)
    rows = parts.settings.rules.flush_max_rows
    flusher = Flusher(windows, wired.ledger, parts.comments, wired.dead_letters, rows, time.time)
    epoch, offsets = windows.epoch(new_id()), count()

    def turn() -> Slice:
        post, before = crowd.post(), crowd.write_transactions()
        offered = [_offer(crowd, post, liker, next(offsets)) for liker in crowd.likers]
        told = []
        for first in range(0, LIKES, 500):
            batch = offered[first : first + 500]
            verdicts = windows.gather(epoch, PARTITION, rows, batch)
            pairs = zip(batch, verdicts, strict=True)
            told += [
                Entry(one.event, Ring.AT_ONCE) for one, word in pairs if word is Verdict.INSTANT
            ]
        wired.ledger.write(Batch(tuple(told)))
        with phases.measured() as spent:
            began = time.perf_counter()
            closed = flusher.step()
            seconds = time.perf_counter() - began
        transactions = crowd.write_transactions() - before
        if closed != 1:
            raise RuntimeError(f"the flusher closed {closed} windows instead of one")
        _check(crowd, post)
        return Slice(
            LIKES - len(told), seconds, transactions=transactions, phases_ms=spent(seconds)
        )

    return turn


def _offer(crowd: Crowd, post: str, liker: str, offset: int) -> Offered:
    now_ms = int(time.time() * 1000)
    event = Event(
        event_id=new_id(),
        kind=Kind.LIKE,
        recipient_id=crowd.owner,
        actor_id=liker,
        object_type="POST",
        object_id=post,
        seq=now_ms * SEQ_PER_MS + offset % SEQ_PER_MS,
    )
    places = crowd.parts.parts.settings.rules.instant_likes
    return Offered(event, offset, places, now_ms)


def _check(crowd: Crowd, post: str) -> None:
    """A flush that wrote nothing would be the fastest of all."""
    query = text(
        "select (select count(*) from active_likes where post_id = :post), p.like_count, "
        "n.actor_count from posts p join notifications n on n.object_id = p.id where p.id = :post"
    )
    with crowd.parts.parts.engine.connect() as sql:
        found = tuple(sql.execute(query, {"post": post}).one())
    if found != (LIKES, LIKES, LIKES):
        raise RuntimeError(f"the flush left rows, counter, actors = {found}")
