"""A group for tests: plans the changes that would take effect in the tables and keeps the announcements.

A like or follow is planned only if it changed a row (app/persistence/batch_writes.py): if it is newer and
different. The harness filters by the same rule. Other kinds have no such rows.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from app.domain.events import Kind
from app.domain.group_planning import plan_group_changes
from app.domain.grouping import (
    ActorChange,
    AnnounceWhen,
    ClientEventType,
    Group,
    GroupKey,
    GroupPlan,
    GroupPlanContext,
    PlannedClientEvent,
)

START_TIME = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MAX_GENERATION_AGE = timedelta(hours=12)


@dataclass
class GroupHarness:
    kind: Kind = Kind.LIKE
    now: datetime = START_TIME
    announcements: list[PlannedClientEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.group = Group(GroupKey("recipient", self.kind, "object"))
        self._state_by_actor: dict[str, tuple[int, bool]] = {}
        self._row_numbers = count(1)

    def apply_changes(self, *changes: ActorChange, is_closing: bool = False) -> GroupPlan:
        """Plans the changes of one transaction."""
        plan_context = GroupPlanContext(self.now, MAX_GENERATION_AGE, f"row {next(self._row_numbers)}")
        group_plan = plan_group_changes(self.group, self._filter_unchanged(changes), is_closing, plan_context)
        self.announcements += group_plan.planned_client_events
        return group_plan

    def close_window(self) -> GroupPlan:
        return self.apply_changes(is_closing=True)

    @property
    def latest_generation_id(self) -> str | None:
        return self.group.latest_generation_id

    @property
    def active_actor_ids(self) -> set[str]:
        return {group_actor.actor_id for group_actor in self.group.actors.values() if group_actor.active}

    @property
    def announcement_lines(self) -> list[str]:
        return [format_announcement(announcement) for announcement in self.announcements]

    def mark_read(self) -> None:
        """Sets the state that is loaded after the owner has read the row."""
        self.group.generations[str(self.latest_generation_id)].is_closed = True

    def _filter_unchanged(self, changes: tuple[ActorChange, ...]) -> list[ActorChange]:
        if self.kind not in (Kind.LIKE, Kind.FOLLOW):
            return list(changes)
        newest_by_actor: dict[str, ActorChange] = {}
        for change in changes:
            if change.actor_id not in newest_by_actor or newest_by_actor[change.actor_id].seq < change.seq:
                newest_by_actor[change.actor_id] = change
        effective_changes = []
        for change in newest_by_actor.values():
            seq, active = self._state_by_actor.get(change.actor_id, (0, False))
            if change.seq > seq:
                self._state_by_actor[change.actor_id] = (change.seq, change.active)
                effective_changes += [change] if change.active != active else []
        return effective_changes


def join_change(
    actor_id: str, seq: int, announce_when: AnnounceWhen = AnnounceWhen.NOW, text: str | None = None
) -> ActorChange:
    return ActorChange(actor_id, seq, True, False, announce_when, f"event {seq}", text)


def windowed_join_change(actor_id: str, seq: int, text: str | None = None) -> ActorChange:
    """Joins in a window that closes with this transaction."""
    return join_change(actor_id, seq, AnnounceWhen.ON_CLOSE, text)


def leave_change(actor_id: str, seq: int, announce_when: AnnounceWhen = AnnounceWhen.NOW) -> ActorChange:
    return ActorChange(actor_id, seq, False, False, announce_when, f"event {seq}")


def group_with_three_announced(kind: Kind = Kind.LIKE) -> GroupHarness:
    group = GroupHarness(kind)
    for seq, actor_id in enumerate(["Ann", "Ben", "Cem"], 1):
        group.apply_changes(join_change(actor_id, seq))
    return group


_VERB_BY_EVENT_TYPE = {
    ClientEventType.ANNOUNCED: "announced",
    ClientEventType.UPDATED: "updated",
    ClientEventType.REMOVED: "removed",
}


def format_announcement(announcement: PlannedClientEvent) -> str:
    """Such as `row 1 v2 announced for Ann: 1 new of 2`."""
    actor_text = f" for {announcement.actor_id}" if announcement.actor_id else ""
    verb = _VERB_BY_EVENT_TYPE[announcement.client_event_type]
    return (
        f"{announcement.generation_id} v{announcement.version} {verb}{actor_text}: "
        f"{announcement.newly_announced_count} new of {announcement.actor_count}"
    )
