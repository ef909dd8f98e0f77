"""Whether somebody who deleted a comment has another one there: then they stay in the group.

In    stores/ledger.py, after the rows were written, in the same transaction
Out   the table comments
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from app.domain.events import COMMENT_KINDS, Event

_STILL = text("""
    select distinct on (k.event_id) k.event_id::text, c.content
    from unnest(cast(:events as uuid[]), cast(:types as text[]), cast(:objects as uuid[]),
        cast(:actors as uuid[])) as k (event_id, type, object_id, actor_id)
    join comments c on c.user_id = k.actor_id and c.active and (
        (k.type = 'COMMENT' and c.post_id = k.object_id and c.parent_id is null)
        or (k.type = 'COMMENT_REPLY' and c.parent_id = k.object_id))
    order by k.event_id, c.seq desc
""")


def still_said(sql: Connection, events: Sequence[Event]) -> dict[str, str]:
    """By the event that deletes a comment: what the newest of those that stand says."""
    deleted = [one for one in events if one.kind in COMMENT_KINDS and not one.active]
    if not deleted:
        return {}
    values = {
        "events": [one.event_id for one in deleted],
        "types": [one.kind.value for one in deleted],
        "objects": [one.group_object for one in deleted],
        "actors": [one.actor_id for one in deleted],
    }
    return {row[0]: row[1] for row in sql.execute(_STILL, values)}
