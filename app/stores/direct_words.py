"""Words that went past Redis: noted before they are published, and part of every reader's counts
until the rows have them.

In    app/direct.py notes; stores/memberships.py and stores/comments.py read
Out   the table direct_words; its rows go when the gate opens again (stores/gate.py)

A word is settled when its row carries its seq, or a newer one; what it was about may be gone too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import orjson
from sqlalchemy import Connection, Engine, TextClause, text

from app.domain.events import SEQ_PER_MS, Event, Kind
from app.stores import comment_deletions
from app.stores.comment_deletions import CommentDeletion
from app.stores.gate import admit
from app.stores.memberships import Asked, Standing, Wish
from app.stores.postgres import speaking
from app.stores.subjects import PERSON, POST

PRUNED = 5_000
GIVEN_UP_SECONDS = 10.0
"""A word this old that never came was never published: its process died in between."""


class Seqs:
    """seq from the clock, in the form that stream ids have; never the same or a lower one twice."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last = 0

    def next(self, above: int = 0) -> int:
        self._last = max(int(self._now() * 1000) * SEQ_PER_MS, self._last + 1, above + 1)
        return self._last


class DirectWords:
    """Each verb raises Holding; NotClosed when words go by way of Redis."""

    def __init__(self, engine: Engine, seqs: Seqs) -> None:
        self._engine = engine
        self._seqs = seqs

    def wish(self, asked: Asked) -> tuple[Event, Standing]:
        """Compared with what stands in rows and words, and noted. Raises Rejected, Unavailable."""
        subject = asked.subject
        with self._speaking(f"{asked.subject_id}{asked.actor_id}") as sql:
            values = {"subject": asked.subject_id, "actor": asked.actor_id}
            row = sql.execute(_STANDS[subject.kind], values).first()
            if row is None:
                raise subject.missing
            owner, follower, stands, newest, blocked = row
            wanted = not stands if asked.wish is Wish.TOGGLE else asked.wish is Wish.ON
            if blocked and (subject is POST or wanted):
                raise subject.missing  # as wish.lua does
            event = Event(
                asked.event_id,
                subject.kind,
                owner,
                asked.actor_id,
                "USER" if subject is PERSON else "POST",
                asked.subject_id,
                seq=self._seqs.next(newest),
                active=wanted,
                follower=bool(follower),
                traceparent=asked.trace or None,
                direct=True,
            )
            _note(sql, event, asked.subject_id, asked.actor_id, None)
            viewed = {"viewer": asked.actor_id, "ids": [asked.subject_id]}
            counted = sql.execute(text(subject.counts_sql), viewed).one()
        return event, Standing(wanted, int(counted[1]))

    def comment(self, event: Event, post_id: str, said: str | None) -> Event:
        """`said`: the comment as its post's pending ones keep it; None: it is deleted."""
        with self._speaking(event.member) as sql:
            newest = sql.execute(_NEWEST, {"comment": event.member}).scalar() or 0
            spoken = replace(event, seq=self._seqs.next(newest), direct=True)
            _note(sql, spoken, post_id, event.member, said)
        return spoken

    def delete_later(self, one: CommentDeletion) -> None:
        """A comment that only Redis may know, which is away."""
        with self._speaking(one.comment_id) as sql:
            comment_deletions.note(sql, one)

    def closed(self) -> None:
        """Whether writes go past Redis: raises Holding, NotClosed."""
        with speaking("tell the gate"), self._engine.begin() as sql:
            admit(sql)

    def plain(self, events: Sequence[Event]) -> list[Event]:
        """Events that are no rows need no note."""
        return [replace(one, seq=self._seqs.next(), direct=True) for one in events]

    def unsettled(self, after: int = 0, older_than: float = 0.0) -> int:
        """How many words the rows do not have yet: those noted after that one, and so long ago."""
        return self._unsettled(after, older_than)[0]

    def given_up(self) -> int:
        """The last word that the rows do not have although it is old; 0 if there is none."""
        return self._unsettled(0, GIVEN_UP_SECONDS)[1]

    def _unsettled(self, after: int, older_than: float) -> tuple[int, int]:
        with speaking("count words"), self._engine.connect() as sql:
            row = sql.execute(_UNSETTLED, {"after": after, "seconds": older_than}).one()
        return int(row[0]), int(row[1])

    def prune(self) -> int:
        """Forgets words that the rows have, but the newest about each subject, which says that
        Redis is out of date there: readers look through all that are left."""
        with speaking("forget words"), self._engine.begin() as sql:
            return sql.execute(_PRUNE, {"limit": PRUNED}).rowcount

    def subjects(self) -> list[tuple[Kind, str]]:
        """What was spoken about: what Redis knows of these is out of date."""
        with speaking("list words"), self._engine.connect() as sql:
            rows = sql.execute(text("select distinct kind, subject_id::text from direct_words"))
            return [(Kind(row[0]), row[1]) for row in rows]

    @contextmanager
    def _speaking(self, row: str) -> Iterator[Connection]:
        """A transaction in which the gate is surely closed, and nobody else speaks of this row."""
        with speaking("note a word"), self._engine.begin() as sql:
            admit(sql)
            sql.execute(_ALONE, {"row": row})
            yield sql


def _note(sql: Connection, event: Event, subject: str, member: str, said: str | None) -> None:
    values = {
        "event": event.event_id,
        "kind": Kind.COMMENT.value if said or event.kind in _COMMENTS else event.kind.value,
        "subject": subject,
        "actor": event.actor_id,
        "member": member,
        "seq": event.seq,
        "active": event.active,
        "said": said and orjson.dumps(orjson.loads(said)).decode(),
    }
    sql.execute(_INSERT, values)


_COMMENTS = frozenset({Kind.COMMENT, Kind.COMMENT_REPLY})
_ALONE = text("select pg_advisory_xact_lock(hashtextextended(:row, 0))")
_INSERT = text("""
    insert into direct_words (event_id, kind, subject_id, actor_id, member_id, seq, active, said)
    values (:event, :kind, :subject, :actor, :member, :seq, :active, cast(:said as jsonb))
""")
_NEWEST = text("""
    select greatest((select max(seq) from direct_words where member_id = :comment),
        (select seq from comments where id = :comment))
""")


def _word(kind: str, subject: str) -> str:
    """The newest word of the actor about it."""
    return (
        "left join lateral (select active, seq from direct_words "  # noqa: S608 - constants only
        f"where kind = '{kind}' and subject_id = {subject} and member_id = :actor "
        "order by seq desc limit 1)"
    )


def _blocked(other: str) -> str:
    return (
        "exists (select 1 from blocks b where "  # noqa: S608 - constants only
        f"(b.user_id = {other} and b.blocked_user_id = :actor) or "
        f"(b.user_id = :actor and b.blocked_user_id = {other}))"
    )


_SAYS = "case when w.seq > coalesce(l.seq, 0) then w.active else coalesce(l.active, false) end"
_STANDS: dict[Kind, TextClause] = {
    Kind.LIKE: text(
        "select p.user_id::text, coalesce(fw.active, f.active, false), "  # noqa: S608 - constants only
        f"{_SAYS}, greatest(w.seq, l.seq, 0), {_blocked('p.user_id')} from posts p "
        "left join likes l on l.post_id = p.id and l.user_id = :actor "
        f"{_word('LIKE', 'p.id')} w on true "
        "left join follows f on f.following_id = p.user_id and f.follower_id = :actor "
        f"{_word('FOLLOW', 'p.user_id')} fw on true where p.id = :subject"
    ),
    Kind.FOLLOW: text(
        f"select u.id::text, false, {_SAYS}, greatest(w.seq, l.seq, 0), {_blocked('u.id')} "  # noqa: S608
        "from users u "
        "left join follows l on l.following_id = u.id and l.follower_id = :actor "
        f"{_word('FOLLOW', 'u.id')} w on true where u.id = :subject"
    ),
}
_WITH_ROWS = """direct_words w
    left join likes l on w.kind = 'LIKE' and l.post_id = w.subject_id and l.user_id = w.member_id
    left join follows f
        on w.kind = 'FOLLOW' and f.following_id = w.subject_id and f.follower_id = w.member_id
    left join comments c on w.kind = 'COMMENT' and c.id = w.member_id
"""
_PRUNE = text(f"""
    delete from direct_words where id in (select w.id from {_WITH_ROWS}
    where coalesce(l.seq, f.seq, c.seq, 0) >= w.seq and exists (select from direct_words n
        where n.kind = w.kind and n.subject_id = w.subject_id and n.id > w.id) limit :limit)
""")  # noqa: S608 - constants only
_UNSETTLED = text(f"""
    select count(*), coalesce(max(w.id), 0) from {_WITH_ROWS}
    where w.id > :after and coalesce(l.seq, f.seq, c.seq, 0) < w.seq
        and w.created_at <= now() - make_interval(secs => :seconds)
        and exists (select from users where id = w.actor_id)
        and (exists (select from posts where id = w.subject_id)
            or exists (select from users where id = w.subject_id))
""")  # noqa: S608 - constants only
