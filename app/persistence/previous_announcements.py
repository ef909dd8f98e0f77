"""Finds the kind under which a repeated event was announced before (docs/aggregation-rules.md).

In: changed events of app/persistence/event_writer.py. Out: the kind of the existing notification.
Only posts need this: a repeated comment does not change its row.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from app.domain.events import Event, Kind


def load_previously_announced_kinds(conn: Connection, events: Sequence[Event]) -> dict[str, Kind]:
    """By event id: the kind of its notification, for posts that mention their recipient."""
    mentioning_posts = [
        event for event in events if event.mentions_recipient and event.kind is Kind.BELL_POST
    ]
    if not mentioning_posts:
        return {}
    params = {
        "events": [event.event_id for event in mentioning_posts],
        "users": [event.recipient_id for event in mentioning_posts],
        "objects": [event.group_object_id for event in mentioning_posts],
        "actors": [event.actor_id for event in mentioning_posts],
    }
    return {row[0]: Kind(row[1]) for row in conn.execute(_PREVIOUS_KINDS, params)}


_PREVIOUS_KINDS = text("""
    select k.event_id::text, n.type
    from unnest(cast(:events as uuid[]), cast(:users as uuid[]), cast(:objects as uuid[]),
        cast(:actors as uuid[])) as k (event_id, user_id, object_id, actor_id)
    join notifications n on n.user_id = k.user_id and n.object_id = k.object_id
        and n.type in ('BELL_POST', 'MENTION')
    join notification_actors a on a.notification_id = n.id and a.actor_id = k.actor_id
""")
