"""Loads groups (notifications and their actors) for planning, and writes the changes of a plan.

In: group keys and plans of app/persistence/event_writer.py. Out: tables notifications and
notification_actors. The number of statements does not depend on the number of actors.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.clients.postgres import array_literal
from app.domain.events import Kind
from app.domain.grouping import (
    Group,
    GroupActorState,
    GroupGeneration,
    GroupKey,
    GroupPlan,
    StoredNotificationFields,
)

MAX_LATEST_ACTORS = 8
"""The number of actors that a notification lists."""
ACTOR_ORDER_SQL = "a.is_follower desc, a.seq desc, a.actor_id desc"
"""The order of a row's actors in every list: followers first, then the newest."""
DISPLAY_NAME_SQL = "coalesce(nullif(u.name, ''), u.username)"


@dataclass(frozen=True, slots=True)
class ActorProfile:
    """The fields of a user that a notification text needs."""

    id: str
    name: str
    avatar_url: str | None
    is_verified: bool
    username: str


_LOCK_RECIPIENTS = text(
    "select id::text from users where id = any(cast(:ids as uuid[])) order by id for no key update"
)
_GROUP_KEYS_SQL = (
    "unnest(cast(:users as uuid[]), cast(:types as text[]), cast(:objects as uuid[])) "
    "as k (user_id, type, object_id)"
)
_GENERATION_COLUMNS = (
    "n.id::text, n.generation, n.created_at, (n.is_read or n.archived_at is not null), n.version, "
    "n.actor_count, n.unannounced_count, (n.archived_at is not null or n.snoozed_until is not null), "
    "n.target_type, n.target_id::text, n.image_url, n.seen_at, n.metadata"
)
_SELECT_LATEST_GENERATIONS = text(
    f"select distinct on (n.user_id, n.type, n.object_id) n.user_id::text, n.type, "  # noqa: S608 - constants only
    f"n.object_id::text, {_GENERATION_COLUMNS} from {_GROUP_KEYS_SQL} join notifications n "
    "using (user_id, type, object_id) "
    "order by n.user_id, n.type, n.object_id, n.generation desc"
)
_SELECT_GROUP_ACTORS = text(
    f"select n.user_id::text, n.type, n.object_id::text, {_GENERATION_COLUMNS}, a.actor_id::text, a.seq, "  # noqa: S608 - constants only
    "a.active, a.announced, a.is_follower, a.event_id::text "
    "from unnest(cast(:users as uuid[]), cast(:types as text[]), cast(:objects as uuid[])) "
    "with ordinality as k (user_id, type, object_id, position) "
    "join notifications n using (user_id, type, object_id) "
    "join unnest(cast(:positions as int[]), cast(:actors as uuid[])) as c (position, actor_id) "
    "using (position) "
    "join notification_actors a on a.notification_id = n.id and a.actor_id = c.actor_id "
    "order by n.generation"
)
_INSERT_GENERATIONS_AND_ACTORS = text("""
    insert into notifications (id, user_id, type, priority, object_id, generation, created_at)
    select * from unnest(cast(:ids as uuid[]), cast(:users as uuid[]), cast(:types as text[]),
        cast(:priorities as text[]), cast(:objects as uuid[]), cast(:generations as int[]),
        cast(:created_ats as timestamptz[]));
    insert into notification_actors
        (notification_id, actor_id, event_id, seq, active, is_follower, announced)
    select * from unnest(cast(:notification_ids as uuid[]), cast(:actors as uuid[]), cast(:events as uuid[]),
        cast(:seqs as bigint[]), cast(:actives as boolean[]), cast(:followers as boolean[]),
        cast(:announced as boolean[])) order by 1, 2
    on conflict (notification_id, actor_id) do update set seq = excluded.seq,
        active = excluded.active, is_follower = excluded.is_follower, announced = excluded.announced
""")
"""New rows, then their actors, in one round trip."""
_MARK_ANNOUNCED = text(
    "update notification_actors set announced = true "
    "where notification_id = any(cast(:ids as uuid[])) and active and not announced"
)
_SELECT_LATEST_ACTORS = text(f"""
    select g.id::text, a.actor_id::text, a.is_follower,
        {DISPLAY_NAME_SQL}, u.avatar_url, u.is_verified, u.username
    from unnest(cast(:ids as uuid[])) as g (id) cross join lateral (
        select * from notification_actors a where a.notification_id = g.id and a.active
        order by {ACTOR_ORDER_SQL} limit :max_actors) a
    join users u on u.id = a.actor_id
    order by g.id, {ACTOR_ORDER_SQL}
""")  # noqa: S608 - constants only


def lock_recipients(conn: Connection, recipient_ids: Iterable[str]) -> set[str]:
    """Locks the users in one fixed order and returns the ids that exist. Only one transaction at a time
    writes for a recipient; groups, client_seq and the order of the outbox depend on it."""
    return set(conn.execute(_LOCK_RECIPIENTS, {"ids": sorted(set(recipient_ids))}).scalars())


def load_groups(
    conn: Connection, keys: Sequence[GroupKey], actor_ids_by_key: Mapping[GroupKey, Iterable[str]]
) -> dict[GroupKey, Group]:
    """Each group with its latest generation, and the generations in which the given actors already are."""
    groups = {key: Group(key) for key in keys}
    for row in conn.execute(_SELECT_LATEST_GENERATIONS, _group_key_params(keys)):
        group = groups[GroupKey(row[0], Kind(row[1]), row[2])]
        group.latest_generation_id = _get_or_add_generation(group, row).id
    pairs = [
        (position, actor_id)
        for position, key in enumerate(keys, 1)
        if groups[key].latest_generation_id
        for actor_id in actor_ids_by_key[key]
    ]
    if pairs:
        values = _group_key_params(keys) | {
            "positions": array_literal(position for position, _ in pairs),
            "actors": array_literal(actor_id for _, actor_id in pairs),
        }
        for row in conn.execute(_SELECT_GROUP_ACTORS, values):
            group = groups[GroupKey(row[0], Kind(row[1]), row[2])]
            generation = _get_or_add_generation(group, row)
            actor_id, seq, active, announced, is_follower, event_id = row[16:22]
            if (previous := group.actors.get(actor_id)) is not None and previous.active:
                group.earlier_generation_actors.setdefault(actor_id, []).append(previous)
            group.actors[actor_id] = GroupActorState(
                generation.id, actor_id, seq, active, announced, is_follower, event_id
            )
    return groups


def _get_or_add_generation(group: Group, row: Sequence[object]) -> GroupGeneration:
    generation = group.generations.get(str(row[3]))
    if generation is None:
        generation = GroupGeneration(*row[3:11])  # type: ignore[arg-type]
        generation.stored_fields = StoredNotificationFields(*row[11:16])  # type: ignore[arg-type]
        group.generations[generation.id] = generation
    return generation


def _group_key_params(keys: Sequence[GroupKey]) -> dict[str, object]:
    return {
        "users": [key.recipient_id for key in keys],
        "types": [key.kind.value for key in keys],
        "objects": [key.object_id for key in keys],
    }


def write_group_changes(
    conn: Connection,
    plans: Mapping[GroupKey, GroupPlan],
    fully_announced_ids: Sequence[str],
) -> None:
    """Inserts new rows and updates actors. `fully_announced_ids`: generations whose actors, written early
    without an announcement, are announced now."""
    new_generations = [
        (key, generation)
        for key, plan in plans.items()
        for generation in plan.changed_generations.values()
        if generation.is_new
    ]
    touched_actors = {
        (actor.generation_id, actor.actor_id): actor
        for plan in plans.values()
        for actor in plan.changed_actors
    }
    if new_generations or touched_actors:
        rows = _group_key_params([key for key, _ in new_generations]) | {
            "ids": [generation.id for _, generation in new_generations],
            "priorities": ["LOW" for _ in new_generations],
            "generations": [generation.generation_number for _, generation in new_generations],
            "created_ats": [generation.opened_at for _, generation in new_generations],
        }
        conn.execute(
            _INSERT_GENERATIONS_AND_ACTORS,
            rows | _actor_params(list(touched_actors.values())),
        )
    if fully_announced_ids:
        conn.execute(_MARK_ANNOUNCED, {"ids": list(fully_announced_ids)})


def _actor_params(actors: Sequence[GroupActorState]) -> dict[str, object]:
    return {
        "notification_ids": array_literal(actor.generation_id for actor in actors),
        "actors": array_literal(actor.actor_id for actor in actors),
        "events": array_literal(actor.event_id for actor in actors),
        "seqs": array_literal(actor.seq for actor in actors),
        "actives": array_literal(actor.active for actor in actors),
        "followers": array_literal(actor.is_follower for actor in actors),
        "announced": array_literal(actor.is_announced for actor in actors),
    }


def load_first_actors(
    conn: Connection, notification_ids: Sequence[str]
) -> dict[str, list[tuple[ActorProfile, bool]]]:
    """The first MAX_LATEST_ACTORS actors of each row in ACTOR_ORDER_SQL, each with whether they follow."""
    actors_by_notification: dict[str, list[tuple[ActorProfile, bool]]] = {
        notification_id: [] for notification_id in notification_ids
    }
    for row in conn.execute(
        _SELECT_LATEST_ACTORS, {"ids": list(notification_ids), "max_actors": MAX_LATEST_ACTORS}
    ):
        actors_by_notification[row[0]].append((ActorProfile(row[1], *row[3:7]), row[2]))
    return actors_by_notification
