"""Takes a person out of groups they are in, as if they had withdrawn every doing: rows, badges and
texts follow, and their owners hear it. The ledger's own plan decides what is told.

In    stores/mutes.py (a block), stores/removals.py (an account that goes)
Out   PostgreSQL: notifications, notification_actors, outbox
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from app.domain.events import SEQ_PER_MS, Kind
from app.domain.ledger import Doing, GroupKey, Ring, Terms, group_by_key, plan
from app.stores import groups
from app.stores.audience import audience
from app.stores.frames import Page, tell
from app.stores.ledger import Hand


@dataclass(frozen=True, slots=True)
class Leaver:
    """Who leaves, and whose groups. The recipients must be locked."""

    actor_id: str
    recipients: tuple[str, ...]


def take_out(sql: Connection, leaver: Leaver, hand: Hand) -> int:
    """How many groups they left."""
    now = hand.now()
    moment = datetime.fromtimestamp(now, UTC)
    values = {"actor": leaver.actor_id, "recipients": list(leaver.recipients)}
    doings: dict[GroupKey, list[Doing]] = {}
    for row in sql.execute(_PLACES, values):
        # Newer than all they did, or the plan would take it for a late copy.
        seq = max(int(now * 1000) * SEQ_PER_MS, row[3] + 1)
        doing = Doing(leaver.actor_id, seq, False, False, Ring.AT_ONCE, row[4])
        doings[GroupKey(row[0], Kind(row[1]), row[2])] = [doing]
    if not doings:
        return 0
    keys = group_by_key(doings)
    known = groups.load(sql, keys, [(key, leaver.actor_id) for key in keys])
    terms = Terms(moment, timedelta(0), hand.new_id())
    plans = {key: plan(known[key], doings[key], False, terms) for key in keys}
    groups.write(sql, plans, [])
    tell(sql, Page(plans, {}, audience(sql, [], [], leaver.recipients, moment)))
    return len(plans)


_PLACES = text("""
    select distinct on (n.user_id, n.type, n.object_id)
        n.user_id::text, n.type, n.object_id::text, a.seq, a.event_id::text
    from notification_actors a join notifications n on n.id = a.notification_id
    where a.actor_id = :actor and a.active and n.user_id = any(cast(:recipients as uuid[]))
    order by n.user_id, n.type, n.object_id, a.seq desc
""")
