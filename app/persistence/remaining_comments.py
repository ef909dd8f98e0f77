"""Finds the comments that remain in a comment notification after one was deleted.

In: deleted comments of app/persistence/event_writer.py and changed rows of
app/persistence/notification_rows.py, read in the transaction that wrote the comments. Out: whether the
author stays in the group, and which comment the row quotes.

A comment that was announced to the same recipient as a mention does not belong to the group
(docs/aggregation-rules.md): it does not keep its author in the group and is not quoted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.domain.events import COMMENT_KINDS, Event


@dataclass(frozen=True, slots=True)
class CommentQuote:
    comment_id: str
    content: str


def _active_comments_sql(
    recipient_column: str, kind_column: str, object_column: str, author_column: str
) -> str:
    """SQL: the active comments `c` of an author that belong to the group given by these columns."""
    return f"""comments c where c.user_id = {author_column} and c.active
        and ({kind_column} = 'COMMENT' and c.post_id = {object_column} and c.parent_id is null
            or {kind_column} = 'COMMENT_REPLY' and c.parent_id = {object_column})
        and not exists (select from notifications m where m.user_id = {recipient_column}
            and m.type = 'MENTION' and m.object_id = c.id)"""


def load_remaining_comment_seqs(conn: Connection, events: Sequence[Event]) -> dict[str, tuple[int, ...]]:
    """By the id of an event that deletes a comment: the seqs of its author's remaining comments."""
    comment_deletions = [event for event in events if event.kind in COMMENT_KINDS and not event.active]
    if not comment_deletions:
        return {}
    params = {
        "events": [event.event_id for event in comment_deletions],
        "recipients": [event.recipient_id for event in comment_deletions],
        "types": [event.kind.value for event in comment_deletions],
        "objects": [event.group_object_id for event in comment_deletions],
        "actors": [event.actor_id for event in comment_deletions],
    }
    return {row[0]: tuple(row[1]) for row in conn.execute(_REMAINING_SEQS, params)}


def load_latest_quotes(
    conn: Connection, author_by_notification: Mapping[str, str]
) -> dict[str, CommentQuote]:
    """By notification id: the newest comment in it of the given author (notification id -> user id)."""
    if not author_by_notification:
        return {}
    params = {"ids": list(author_by_notification), "authors": list(author_by_notification.values())}
    return {row[0]: CommentQuote(row[1], row[2]) for row in conn.execute(_LATEST_QUOTES, params)}


_REMAINING_SEQS = text(f"""
    select k.event_id::text, array_agg(s.seq)
    from unnest(cast(:events as uuid[]), cast(:recipients as uuid[]), cast(:types as text[]),
        cast(:objects as uuid[]), cast(:actors as uuid[]))
        as k (event_id, user_id, type, object_id, actor_id)
    cross join lateral (
        select c.seq from {_active_comments_sql("k.user_id", "k.type", "k.object_id", "k.actor_id")}) s
    group by k.event_id
""")  # noqa: S608 - constants only
# Only comments up to the author's seq in the row: later comments belong to a later row.
_LATEST_QUOTES = text(f"""
    select n.id::text, q.id::text, q.content
    from unnest(cast(:ids as uuid[]), cast(:authors as uuid[])) as k (id, actor_id)
    join notifications n on n.id = k.id
    join notification_actors a on a.notification_id = k.id and a.actor_id = k.actor_id
    cross join lateral (
        select c.id, c.content from {_active_comments_sql("n.user_id", "n.type", "n.object_id", "k.actor_id")}
            and c.seq <= a.seq
        order by c.seq desc limit 1) q
""")  # noqa: S608 - constants only
