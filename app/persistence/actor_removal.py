"""Removes an actor from groups, as if the actor had retracted every event.

In: blocks (app/social/mutes.py) and deleted accounts (app/social/removals.py). Out: updated rows, unread
counts and client events, planned by app/domain/grouping.py like any retraction.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from app.domain.clock import TimeAndIdSource
from app.domain.events import SEQ_PER_MS, Kind
from app.domain.group_planning import group_lock_order, plan_group_changes
from app.domain.grouping import ActorChange, AnnounceWhen, GroupKey, GroupPlanContext
from app.persistence import groups
from app.persistence.outbox_writer import AnnouncementBatch, write_announcements
from app.persistence.recipients import load_announcement_context


@dataclass(frozen=True, slots=True)
class ActorRemovalRequest:
    """The actor to remove, and the recipients of the groups. The recipients must be locked."""

    actor_id: str
    recipient_ids: tuple[str, ...]


def remove_actor_from_groups(conn: Connection, removal: ActorRemovalRequest, clock: TimeAndIdSource) -> int:
    """Returns the number of groups that changed."""
    now_seconds = clock.now()
    now = datetime.fromtimestamp(now_seconds, UTC)
    params = {"actor": removal.actor_id, "recipients": list(removal.recipient_ids)}
    change_by_group: dict[GroupKey, list[ActorChange]] = {}
    for row in conn.execute(_GROUPS_OF_ACTOR, params):
        # Newer than every event of the actor; otherwise the plan would ignore it as a late copy.
        seq = max(int(now_seconds * 1000) * SEQ_PER_MS, row[3] + 1)
        change = ActorChange(removal.actor_id, seq, False, False, AnnounceWhen.NOW, row[4])
        change_by_group[GroupKey(row[0], Kind(row[1]), row[2])] = [change]
    if not change_by_group:
        return 0
    keys = group_lock_order(change_by_group)
    groups_by_key = groups.load_groups(conn, keys, {key: [removal.actor_id] for key in keys})
    plan_context = GroupPlanContext(now, timedelta(0), clock.new_id())
    plan_by_group = {
        key: plan_group_changes(groups_by_key[key], change_by_group[key], False, plan_context) for key in keys
    }
    groups.write_group_changes(conn, plan_by_group, [])
    write_announcements(
        conn,
        AnnouncementBatch(
            plan_by_group, [], load_announcement_context(conn, [], [], removal.recipient_ids, now)
        ),
    )
    return len(plan_by_group)


_GROUPS_OF_ACTOR = text("""
    select distinct on (n.user_id, n.type, n.object_id)
        n.user_id::text, n.type, n.object_id::text, a.seq, a.event_id::text
    from notification_actors a join notifications n on n.id = a.notification_id
    where a.actor_id = :actor and a.active and n.user_id = any(cast(:recipients as uuid[]))
    order by n.user_id, n.type, n.object_id, a.seq desc
""")
