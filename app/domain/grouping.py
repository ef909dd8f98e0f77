"""Groups: the types that app/domain/group_planning.py plans with. No I/O.

A group is recipient + kind + object. It has one row (a generation) while that is unread and young; once the
row is read or too old, the next actor opens a new generation. An actor is announced once per generation: one
who leaves and returns changes the row without an announcement.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.domain.events import Kind


class AnnounceWhen(StrEnum):
    """When a new actor is announced."""

    NOW = "at once"
    ON_CLOSE = "at close"
    """Now, together with all others of the window that closes in this transaction."""
    DEFERRED = "later"
    """Written early because the window is full; announced when it closes."""


class ClientEventType(StrEnum):
    """The socket event names (docs/socket-api.md)."""

    ANNOUNCED = "notification"
    UPDATED = "notification_updated"
    REMOVED = "notification_removed"


UNREAD_COUNT_EVENT = "unread_count"
"""The socket event that has no row: the number of unread notifications."""


class GroupKey(NamedTuple):
    recipient_id: str
    kind: Kind
    object_id: str


class ActorChange(NamedTuple):
    """A change that took effect in the tables: the actor joined (`active`) or left."""

    actor_id: str
    seq: int
    active: bool
    is_follower: bool
    announce_when: AnnounceWhen
    event_id: str
    text: str | None = None
    remaining_comment_seqs: tuple[int, ...] = ()
    """Of a deleted comment: the seqs of its author's other comments that still exist."""


@dataclass(frozen=True, slots=True)
class StoredNotificationFields:
    """Columns of a row that no actor changes; part of every client event about the row."""

    object_type: str | None = None
    object_id: str | None = None
    image_url: str | None = None
    seen_at: datetime | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class GroupGeneration:
    """One notification row. `unannounced_count` counts its active actors that were not announced yet."""

    id: str
    generation_number: int
    opened_at: datetime
    is_closed: bool = False
    """Read or archived: accepts no more actors."""
    version: int = 0
    actor_count: int = 0
    unannounced_count: int = 0
    is_hidden: bool = False
    """Archived, deleted or snoozed by its owner: its actors are still recorded, but nothing is announced."""
    is_new: bool = False
    stored_fields: StoredNotificationFields = field(default_factory=StoredNotificationFields)


@dataclass(slots=True)
class GroupActorState:
    """An actor of a generation; inactive after leaving it."""

    generation_id: str
    actor_id: str
    seq: int
    active: bool
    is_announced: bool
    is_follower: bool
    event_id: str


@dataclass(slots=True)
class Group:
    """The loaded state of one group: its generations and actors."""

    group_key: GroupKey
    generations: dict[str, GroupGeneration] = field(default_factory=dict)
    latest_generation_id: str | None = None
    actors: dict[str, GroupActorState] = field(default_factory=dict)
    """By actor id, in the last generation that the actor joined."""
    earlier_generation_actors: dict[str, list[GroupActorState]] = field(default_factory=dict)
    """By actor id, in the generations before it: actors who commented again after the row was read."""


@dataclass(frozen=True, slots=True)
class PlannedClientEvent:
    """A client event to send. `actor_id` is set when it announces one actor at once."""

    client_event_type: ClientEventType
    generation_id: str
    version: int
    newly_announced_count: int = 0
    actor_count: int = 0
    actor_id: str | None = None
    text: str | None = None
    event_id: str | None = None


@dataclass(slots=True)
class GroupPlan:
    planned_client_events: list[PlannedClientEvent] = field(default_factory=list)
    changed_actors: list[GroupActorState] = field(default_factory=list)
    changed_generations: dict[str, GroupGeneration] = field(default_factory=dict)
    text_by_generation: dict[str, str | None] = field(default_factory=dict)
    fully_announced_generation_ids: list[str] = field(default_factory=list)
    """Generations whose unannounced actors are all announced by this plan."""


@dataclass(frozen=True, slots=True)
class GroupPlanContext:
    """What a plan depends on besides the group itself."""

    now: datetime
    max_generation_age: timedelta
    new_generation_id: str
    """The id of the generation that this plan may create."""
