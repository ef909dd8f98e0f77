"""How an event that comes again was announced before (rule 11 of pipeline.md).

In    stores/ledger.py, before it decides in which way a post is announced
Out   the tables notifications and notification_actors

Of a comment this need not be asked: its own row says that it comes again.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from app.domain.events import Event, Kind


def told_before(sql: Connection, events: Sequence[Event]) -> dict[str, Kind]:
    """By event: the kind of its notification, of posts that name their recipient."""
    asked = [one for one in events if one.names_recipient and one.kind is Kind.BELL_POST]
    if not asked:
        return {}
    values = {
        "events": [one.event_id for one in asked],
        "users": [one.recipient_id for one in asked],
        "objects": [one.group_object for one in asked],
        "actors": [one.actor_id for one in asked],
    }
    return {row[0]: Kind(row[1]) for row in sql.execute(_TOLD, values)}


_TOLD = text("""
    select k.event_id::text, n.type
    from unnest(cast(:events as uuid[]), cast(:users as uuid[]), cast(:objects as uuid[]),
        cast(:actors as uuid[])) as k (event_id, user_id, object_id, actor_id)
    join notifications n on n.user_id = k.user_id and n.object_id = k.object_id
        and n.type in ('BELL_POST', 'MENTION')
    join notification_actors a on a.notification_id = n.id and a.actor_id = k.actor_id
""")
