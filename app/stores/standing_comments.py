"""Which comments still stand behind a notification about comments: whether their author stays in
it after deleting one, and which of them its row quotes.

In    stores/ledger.py and stores/frames.py, after the rows were written, in the same transaction
Out   the table comments

A comment that was announced to the same person as a mention is not part of the row (rule 11 of
pipeline.md), so it neither keeps its author there nor is quoted there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.domain.events import COMMENT_KINDS, Event


@dataclass(frozen=True, slots=True)
class Quote:
    comment_id: str
    content: str


def _of(recipient: str, kind: str, about: str, author: str) -> str:
    """The comments `c` of an author that count for the group of these columns."""
    return f"""comments c where c.user_id = {author} and c.active
        and ({kind} = 'COMMENT' and c.post_id = {about} and c.parent_id is null
            or {kind} = 'COMMENT_REPLY' and c.parent_id = {about})
        and not exists (select from notifications m where m.user_id = {recipient}
            and m.type = 'MENTION' and m.object_id = c.id)"""


def remaining(sql: Connection, events: Sequence[Event]) -> dict[str, tuple[int, ...]]:
    """By the event that deletes a comment: the seqs of its author's comments that still stand."""
    deleted = [one for one in events if one.kind in COMMENT_KINDS and not one.active]
    if not deleted:
        return {}
    values = {
        "events": [one.event_id for one in deleted],
        "recipients": [one.recipient_id for one in deleted],
        "types": [one.kind.value for one in deleted],
        "objects": [one.group_object for one in deleted],
        "actors": [one.actor_id for one in deleted],
    }
    return {row[0]: tuple(row[1]) for row in sql.execute(_REMAINING, values)}


def quotes(sql: Connection, authors: Mapping[str, str]) -> dict[str, Quote]:
    """By notification: the newest comment in it of this author (notification id -> user id)."""
    if not authors:
        return {}
    values = {"ids": list(authors), "authors": list(authors.values())}
    return {row[0]: Quote(row[1], row[2]) for row in sql.execute(_QUOTES, values)}


_REMAINING = text(f"""
    select k.event_id::text, array_agg(s.seq)
    from unnest(cast(:events as uuid[]), cast(:recipients as uuid[]), cast(:types as text[]),
        cast(:objects as uuid[]), cast(:actors as uuid[]))
        as k (event_id, user_id, type, object_id, actor_id)
    cross join lateral (
        select c.seq from {_of("k.user_id", "k.type", "k.object_id", "k.actor_id")}) s
    group by k.event_id
""")  # noqa: S608 - constants only
# Not newer than the author's place in the row: what they said after it was read is in a later one.
_QUOTES = text(f"""
    select n.id::text, q.id::text, q.content
    from unnest(cast(:ids as uuid[]), cast(:authors as uuid[])) as k (id, actor_id)
    join notifications n on n.id = k.id
    join notification_actors a on a.notification_id = k.id and a.actor_id = k.actor_id
    cross join lateral (
        select c.id, c.content from {_of("n.user_id", "n.type", "n.object_id", "k.actor_id")}
            and c.seq <= a.seq
        order by c.seq desc limit 1) q
""")  # noqa: S608 - constants only
