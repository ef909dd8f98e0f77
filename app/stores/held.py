"""What rings when the quiet hours end.

In    the table notifications: rows whose time has come (the ledger held them)
Out   a `notification` frame for each, all of one person's in one transaction
Next  streams/relay.py
"""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine, text

from app.domain.ledger import Frame
from app.stores.groups import lock_recipients
from app.stores.postgres import speaking
from app.stores.telling import Line, tell_rows

MOST_PEOPLE = 50


class Held:
    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def ring_due(self) -> int:
        """How many rows rang. Each person's ring in one burst; dying in between repeats nothing."""
        now = datetime.fromtimestamp(self._now(), UTC)
        with speaking("find what was held"), self._engine.connect() as sql:
            people = list(sql.execute(_DUE, {"now": now, "most": MOST_PEOPLE}).scalars())
        return sum(self._ring(one, now) for one in people)

    def _ring(self, owner_id: str, now: datetime) -> int:
        with speaking("ring what was held"), self._engine.begin() as sql:
            lock_recipients(sql, [owner_id])
            rows = sql.execute(_TAKE, {"owner": owner_id, "now": now}).all()
            # What was read, removed or put away meanwhile has nothing left to ring for.
            lines = [Line(owner_id, row[0], Frame.ANNOUNCED, row[1]) for row in rows if row[2]]
            tell_rows(sql, lines)
            return len(lines)


_DUE = text(
    "select user_id::text from notifications where held_until <= :now "
    "group by user_id order by min(held_until) limit :most"
)
# How many are announced: those the ledger told in silence since the row last rang. None of them:
# the row only changed (somebody left it), and nothing rings.
_TAKE = text("""
    with due as (
        select id, seq from notifications where user_id = :owner and held_until <= :now
    ), rung as (
        update notifications set held_until = null,
            updated_at = case when not is_read and removed_at is null and archived_at is null
                then :now else updated_at end
        from due where notifications.id = due.id
        returning notifications.id, due.seq, actor_count,
            not is_read and removed_at is null and archived_at is null and version > 0 as rings
    )
    select rung.id::text, least(silent.many, greatest(actor_count, 1)), rings and silent.many > 0
    from rung cross join lateral (
        select coalesce(sum((o.payload->'metadata'->>'newCount')::int), 0)::int as many
        from outbox o where o.user_id = :owner and o.payload->>'id' = rung.id::text
            and o.frame = 'notification_updated' and o.seq > coalesce((select max(r.seq)
                from outbox r where r.user_id = :owner and r.payload->>'id' = rung.id::text
                and r.frame = 'notification'), 0)) silent
    order by rung.seq
""")
