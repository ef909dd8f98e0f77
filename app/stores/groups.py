"""The group ledger's tables: load what a plan needs, write what a plan says. Set-based: the number
of statements does not grow with the number of actors.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.domain.events import Kind
from app.domain.ledger import Generation, Group, GroupKey, Membership, Plan, Stored

SAMPLE = 8
"""The actors that travel with a row (contract 3)."""
ACTOR_ORDER = "a.is_follower desc, a.seq desc, a.actor_id desc"
"""The one order of a row's actors, wherever they are shown: followers first, then the newest."""
SHOWN_NAME = "coalesce(nullif(u.name, ''), u.username)"


@dataclass(frozen=True, slots=True)
class Person:
    """What a line about somebody needs."""

    id: str
    name: str
    avatar_url: str | None
    is_verified: bool
    username: str


_LOCK = text(
    "select id::text from users where id = any(cast(:ids as uuid[])) order by id for no key update"
)
_KEYS = (
    "unnest(cast(:users as uuid[]), cast(:types as text[]), cast(:objects as uuid[])) "
    "as k (user_id, type, object_id)"
)
_GENERATION = (
    "n.id::text, n.generation, n.created_at, (n.is_read or n.archived_at is not null), n.version, "
    "n.actor_count, n.owed_count, n.archived_at is not null, "
    "n.target_type, n.target_id::text, n.image_url, n.seen_at, n.metadata"
)
_LATEST = text(
    f"select distinct on (n.user_id, n.type, n.object_id) n.user_id::text, n.type, "  # noqa: S608 - constants only
    f"n.object_id::text, {_GENERATION} from {_KEYS} join notifications n "
    "using (user_id, type, object_id) "
    "order by n.user_id, n.type, n.object_id, n.generation desc"
)
_MEMBERS = text(
    f"select n.user_id::text, n.type, n.object_id::text, {_GENERATION}, a.actor_id::text, a.seq, "  # noqa: S608 - constants only
    "a.active, a.announced, a.is_follower, a.event_id::text "
    "from unnest(cast(:users as uuid[]), cast(:types as text[]), cast(:objects as uuid[]), "
    "cast(:actors as uuid[])) as k (user_id, type, object_id, actor_id) "
    "join notifications n using (user_id, type, object_id) "
    "join notification_actors a on a.notification_id = n.id and a.actor_id = k.actor_id "
    "order by n.generation"
)
_WRITE = text("""
    insert into notifications (id, user_id, type, priority, object_id, generation, created_at)
    select * from unnest(cast(:ids as uuid[]), cast(:users as uuid[]), cast(:types as text[]),
        cast(:priorities as text[]), cast(:objects as uuid[]), cast(:numbers as int[]),
        cast(:times as timestamptz[]));
    insert into notification_actors
        (notification_id, actor_id, event_id, seq, active, is_follower, announced)
    select * from unnest(cast(:rows as uuid[]), cast(:actors as uuid[]), cast(:events as uuid[]),
        cast(:seqs as bigint[]), cast(:actives as boolean[]), cast(:followers as boolean[]),
        cast(:announced as boolean[]))
    on conflict (notification_id, actor_id) do update set seq = excluded.seq,
        active = excluded.active, is_follower = excluded.is_follower, announced = excluded.announced
""")
"""New rows, then who is in them: one round trip."""
_DEBTS = text(
    "update notification_actors set announced = true "
    "where notification_id = any(cast(:ids as uuid[])) and active and not announced"
)
_SAMPLE = text(f"""
    select g.id::text, a.actor_id::text, a.is_follower,
        {SHOWN_NAME}, u.avatar_url, u.is_verified, u.username
    from unnest(cast(:ids as uuid[])) as g (id) cross join lateral (
        select * from notification_actors a where a.notification_id = g.id and a.active
        order by {ACTOR_ORDER} limit :sample) a
    join users u on u.id = a.actor_id
    order by g.id, {ACTOR_ORDER}
""")  # noqa: S608 - constants only


def lock_recipients(sql: Connection, ids: Iterable[str]) -> set[str]:
    """Locks them in one order; those that exist. One writer at a time per recipient: the ledger,
    the frame counter and the order of the outbox all rest on it.
    """
    return set(sql.execute(_LOCK, {"ids": sorted(set(ids))}).scalars())


def load(
    sql: Connection, keys: Sequence[GroupKey], pairs: Sequence[tuple[GroupKey, str]]
) -> dict[GroupKey, Group]:
    """Each group with its latest generation, and the places its present actors already have."""
    groups = {key: Group(key) for key in keys}
    for row in sql.execute(_LATEST, _columns(keys)):
        group = groups[GroupKey(row[0], Kind(row[1]), row[2])]
        group.latest = _generation(group, row).id
    known = [(key, actor) for key, actor in pairs if groups[key].latest]
    if known:
        values = _columns([key for key, _ in known]) | {"actors": [actor for _, actor in known]}
        for row in sql.execute(_MEMBERS, values):
            group = groups[GroupKey(row[0], Kind(row[1]), row[2])]
            generation = _generation(group, row)
            actor, seq, active, announced, follower, event_id = row[16:22]
            if (before := group.members.get(actor)) is not None and before.active:
                group.earlier.setdefault(actor, []).append(before)
            group.members[actor] = Membership(
                generation.id, actor, seq, active, announced, follower, event_id
            )
    return groups


def _generation(group: Group, row: Sequence[object]) -> Generation:
    known = group.generations.get(str(row[3]))
    if known is None:
        known = Generation(*row[3:11])  # type: ignore[arg-type]
        known.stored = Stored(*row[11:16])  # type: ignore[arg-type]
        group.generations[known.id] = known
    return known


def _columns(keys: Sequence[GroupKey]) -> dict[str, object]:
    return {
        "users": [key.recipient_id for key in keys],
        "types": [key.kind.value for key in keys],
        "objects": [key.object_id for key in keys],
    }


def write(
    sql: Connection,
    plans: Mapping[GroupKey, Plan],
    debts: Sequence[str],
) -> None:
    """New rows, then who is in them. `debts`: generations with early-written actors to announce."""
    opened = [
        (key, one) for key, plan in plans.items() for one in plan.changed.values() if one.is_new
    ]
    touched = {
        (member.generation_id, member.actor_id): member
        for plan in plans.values()
        for member in plan.touched
    }
    if opened or touched:
        rows = _columns([key for key, _ in opened]) | {
            "ids": [one.id for _, one in opened],
            "priorities": ["LOW" for _ in opened],
            "numbers": [one.number for _, one in opened],
            "times": [one.opened_at for _, one in opened],
        }
        sql.execute(_WRITE, rows | _actors([touched[one] for one in sorted(touched)]))
    if debts:
        sql.execute(_DEBTS, {"ids": list(debts)})


def _actors(members: Sequence[Membership]) -> dict[str, object]:
    return {
        "rows": [member.generation_id for member in members],
        "actors": [member.actor_id for member in members],
        "events": [member.event_id for member in members],
        "seqs": [member.seq for member in members],
        "actives": [member.active for member in members],
        "followers": [member.follower for member in members],
        "announced": [member.announced for member in members],
    }


def samples(sql: Connection, ids: Sequence[str]) -> dict[str, list[tuple[Person, bool]]]:
    """The first actors of each row in ACTOR_ORDER, with whether each is a follower."""
    found: dict[str, list[tuple[Person, bool]]] = {one: [] for one in ids}
    for row in sql.execute(_SAMPLE, {"ids": list(ids), "sample": SAMPLE}):
        found[row[0]].append((Person(row[1], *row[3:7]), row[2]))
    return found
