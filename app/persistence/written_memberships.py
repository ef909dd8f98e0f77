"""Removes the entries of likes and follows from Redis that the tables have now (docs/adr/0022).

In: workers/aggregator.py and workers/flusher.py after a transaction. Out: fewer entries like:unwritten:{post}
and follow:unwritten:{user}, so that idle objects can leave Redis. A repeated call changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import redis

from app.clients.redis import register_script, translate_errors
from app.domain.events import MEMBERSHIP_KINDS, Event, Kind
from app.persistence import membership_keys

MAX_EVENTS_PER_CALL = 200
"""Redis serves no other client meanwhile."""
MembershipRow = tuple[Kind, str, str]
"""Kind, post or followed user, and actor of a row in likes or follows."""


class WrittenMembership(NamedTuple):
    """A row that has an event with this seq, or a newer one. `was_active`: the state before the transaction;
    None if it is not known, because the transaction did not change the row."""

    kind: Kind
    object_id: str
    actor_id: str
    seq: int
    was_active: bool | None


def membership_row(event: Event) -> MembershipRow:
    return event.kind, event.group_object_id, str(event.actor_id)


def written_memberships(
    events: Iterable[Event], was_active_by_row: Mapping[MembershipRow, bool]
) -> list[WrittenMembership]:
    """Those of the events of a transaction that also went through Redis."""
    newest_seq_by_row: dict[MembershipRow, int] = {}
    for event in events:
        if event.kind in MEMBERSHIP_KINDS and not event.bypassed_redis:
            row = membership_row(event)
            newest_seq_by_row[row] = max(event.seq, newest_seq_by_row.get(row, 0))
    return [
        WrittenMembership(*row, seq, was_active_by_row.get(row)) for row, seq in newest_seq_by_row.items()
    ]


class WrittenMemberships:
    def __init__(self, connection: redis.Redis) -> None:
        self._settle_script = register_script(connection, "persistence/settle_memberships")

    def settle(self, memberships: Sequence[WrittenMembership]) -> None:
        """Raises Unavailable; some may be settled then."""
        by_object: dict[tuple[Kind, str], list[WrittenMembership]] = {}
        for membership in memberships:
            by_object.setdefault(_object_of(membership), []).append(membership)
        by_idle_key: dict[str, list[WrittenMembership]] = {}
        for (_, object_id), group in by_object.items():
            by_idle_key.setdefault(membership_keys.idle_key(object_id), []).extend(group)
        for idle_key, group in by_idle_key.items():
            for start in range(0, len(group), MAX_EVENTS_PER_CALL):
                self._settle_page(idle_key, group[start : start + MAX_EVENTS_PER_CALL])

    def _settle_page(self, idle_key: str, page: Sequence[WrittenMembership]) -> None:
        """`page`: by object."""
        keys = [idle_key]
        args: list[str | int] = []
        for (kind, object_id), group in groupby(page, _object_of):
            events = list(group)
            keys += [
                membership_keys.count_key(kind, object_id),
                membership_keys.unwritten_key(kind, object_id),
                membership_keys.large_key(kind, object_id),
            ]
            args += [membership_keys.idle_set_entry(kind, object_id), len(events)]
            for event in events:
                args += [
                    event.actor_id,
                    event.seq,
                    "" if event.was_active is None else int(event.was_active),
                    membership_keys.user_bucket(event.actor_id),
                ]
        with translate_errors("settle memberships"):
            self._settle_script(keys=keys, args=args)


def _object_of(membership: WrittenMembership) -> tuple[Kind, str]:
    return membership.kind, membership.object_id
