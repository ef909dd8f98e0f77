"""Plans the changes of a group: its state and the changes of actors in, new state and announcements out.

No I/O: app/persistence/event_writer.py loads the state and writes the plan. app/domain/grouping.py has the
types.
"""

from collections.abc import Iterable, Mapping

from app.domain.events import COMMENT_KINDS
from app.domain.grouping import (
    ActorChange,
    AnnounceWhen,
    ClientEventType,
    Group,
    GroupActorState,
    GroupGeneration,
    GroupKey,
    GroupPlan,
    GroupPlanContext,
    PlannedClientEvent,
)


def plan_group_changes(
    group: Group, changes: Iterable[ActorChange], window_closes: bool, context: GroupPlanContext
) -> GroupPlan:
    """Returns the changed rows and the announcements; changes `group` as the tables will be changed.

    `window_closes`: a window of the group ends in this transaction, so its unannounced actors are announced.
    Repeated and older changes have no effect.
    """
    group_plan = GroupPlan()
    for change in sorted(changes, key=lambda change: change.seq):
        apply = _add_actor if change.active else _retract_actor
        changed_generation = apply(group, change, context, group_plan)
        if changed_generation is not None and change.announce_when is AnnounceWhen.ON_CLOSE:
            window_closes = True
    _plan_window_end_updates_and_removals(group, group_plan, window_closes)
    return group_plan


def _add_actor(
    group: Group, change: ActorChange, context: GroupPlanContext, group_plan: GroupPlan
) -> GroupGeneration | None:
    actor = group.actors.get(change.actor_id)
    if actor is not None and _is_change_already_applied(group, actor, change):
        return None
    if actor is None or not _stays_in_generation(group, actor, context):
        generation = _latest_or_new_generation(group, context)
        if actor is not None:
            group.earlier_generation_actors.setdefault(change.actor_id, []).append(actor)
        actor = GroupActorState(generation.id, change.actor_id, 0, False, False, False, change.event_id)
        group.actors[change.actor_id] = actor
    generation = group.generations[actor.generation_id]
    if not actor.active:
        generation.actor_count += 1
        generation.unannounced_count += 0 if actor.is_announced else 1
    actor.active, actor.is_follower = True, change.is_follower
    actor.seq = max(actor.seq, change.seq)
    group_plan.changed_actors.append(actor)
    group_plan.changed_generations[generation.id] = generation
    group_plan.text_by_generation[generation.id] = change.text
    if change.announce_when is AnnounceWhen.NOW and not actor.is_announced and not generation.is_hidden:
        _plan_instant_announcement(generation, actor, change, group_plan)
    return generation


def _is_change_already_applied(group: Group, actor: GroupActorState, change: ActorChange) -> bool:
    """Whether the actor's state already includes this change or a newer one. The comments of one actor may
    arrive in any order: each has a row of its own in the table of comments, which admits it once."""
    if group.group_key.kind in COMMENT_KINDS:
        return actor.seq == change.seq
    return actor.seq >= change.seq


def _stays_in_generation(group: Group, actor: GroupActorState, context: GroupPlanContext) -> bool:
    """Whether the actor stays in their generation. A repeated like always does; a new comment only while the
    generation still accepts actors."""
    if group.group_key.kind not in COMMENT_KINDS:
        return True
    latest_generation = group.generations.get(group.latest_generation_id or "")
    return (
        latest_generation is not None
        and latest_generation.id == actor.generation_id
        and _is_open_to_new_actors(latest_generation, context)
    )


def _plan_instant_announcement(
    generation: GroupGeneration, actor: GroupActorState, change: ActorChange, group_plan: GroupPlan
) -> None:
    actor.is_announced = True
    generation.unannounced_count -= 1
    generation.version += 1
    group_plan.planned_client_events.append(
        PlannedClientEvent(
            ClientEventType.ANNOUNCED,
            generation.id,
            generation.version,
            newly_announced_count=1,
            actor_count=generation.actor_count,
            actor_id=change.actor_id,
            text=change.text,
            event_id=change.event_id,
        )
    )


def _retract_actor(
    group: Group, change: ActorChange, context: GroupPlanContext, group_plan: GroupPlan
) -> GroupGeneration | None:
    """Removes the actor from every generation except those with another of their comments. Returns the
    actor's last generation; None for an unknown actor or an old change."""
    current_actor = group.actors.get(change.actor_id)
    if current_actor is None or _is_change_already_applied(group, current_actor, change):
        return None
    previous_seq = 0
    for earlier_actor in group.earlier_generation_actors.get(change.actor_id, ()):
        has_remaining_comment = any(
            previous_seq < seq <= earlier_actor.seq for seq in change.remaining_comment_seqs
        )
        previous_seq = earlier_actor.seq
        _remove_from_generation(
            group.generations[earlier_actor.generation_id],
            earlier_actor,
            has_remaining_comment,
            group_plan,
        )
    _remove_from_generation(
        group.generations[current_actor.generation_id],
        current_actor,
        any(previous_seq < seq for seq in change.remaining_comment_seqs),
        group_plan,
    )
    current_actor.seq = max(current_actor.seq, change.seq)
    group_plan.changed_actors.append(current_actor)
    return group.generations[current_actor.generation_id]


def _remove_from_generation(
    generation: GroupGeneration,
    actor: GroupActorState,
    has_remaining_comment: bool,
    group_plan: GroupPlan,
) -> None:
    if not actor.active:
        return
    if not has_remaining_comment:
        generation.actor_count -= 1
        generation.unannounced_count -= 0 if actor.is_announced else 1
        actor.active = False
        group_plan.changed_actors.append(actor)
    if not has_remaining_comment or generation.actor_count == 1:
        # The row of a single actor quotes their comment, which may be the deleted one.
        group_plan.changed_generations[generation.id] = generation


def _is_open_to_new_actors(generation: GroupGeneration, context: GroupPlanContext) -> bool:
    return not generation.is_closed and context.now - generation.opened_at < context.max_generation_age


def _latest_or_new_generation(group: Group, context: GroupPlanContext) -> GroupGeneration:
    latest_generation = group.generations.get(group.latest_generation_id or "")
    if latest_generation is not None and _is_open_to_new_actors(latest_generation, context):
        return latest_generation
    generation_number = latest_generation.generation_number + 1 if latest_generation else 1
    new_generation = GroupGeneration(context.new_generation_id, generation_number, context.now, is_new=True)
    group.generations[new_generation.id] = new_generation
    group.latest_generation_id = new_generation.id
    return new_generation


def _plan_window_end_updates_and_removals(group: Group, group_plan: GroupPlan, window_closes: bool) -> None:
    """Adds to the instant announcements: the announcement at the end of a window, an update, or a removal."""
    announced_actor_counts = {
        announcement.generation_id: announcement.actor_count
        for announcement in group_plan.planned_client_events
    }
    latest_generation = group.generations.get(group.latest_generation_id or "")
    if (
        window_closes
        and latest_generation is not None
        and latest_generation.unannounced_count > 0
        and not latest_generation.is_hidden
    ):
        group_plan.changed_generations[latest_generation.id] = latest_generation
    for generation in group_plan.changed_generations.values():
        if generation.is_hidden:
            continue
        if window_closes and generation.unannounced_count > 0:
            _plan_window_end_announcement(group, generation, group_plan)
        elif generation.version and announced_actor_counts.get(generation.id) != generation.actor_count:
            generation.version += 1
            client_event_type = ClientEventType.UPDATED if generation.actor_count else ClientEventType.REMOVED
            group_plan.planned_client_events.append(
                PlannedClientEvent(
                    client_event_type, generation.id, generation.version, 0, generation.actor_count
                )
            )


def _plan_window_end_announcement(group: Group, generation: GroupGeneration, group_plan: GroupPlan) -> None:
    newly_announced_count, generation.unannounced_count = generation.unannounced_count, 0
    generation.version += 1
    group_plan.fully_announced_generation_ids.append(generation.id)
    for actor in group.actors.values():
        if actor.generation_id == generation.id and actor.active:
            actor.is_announced = True
    group_plan.planned_client_events.append(
        PlannedClientEvent(
            ClientEventType.ANNOUNCED,
            generation.id,
            generation.version,
            newly_announced_count,
            generation.actor_count,
        )
    )


def group_lock_order(changes_by_key: Mapping[GroupKey, list[ActorChange]]) -> list[GroupKey]:
    """The order in which groups are locked: the same in every process, so that there are no deadlocks."""
    return sorted(changes_by_key, key=lambda key: (key.recipient_id, key.kind.value, key.object_id))


def plan_ungrouped_notification(group: Group, event_id: str, context: GroupPlanContext) -> GroupPlan:
    """Plans an ungrouped notification, which is announced once. Its row has the event's id, so that a preview
    that was sent before the row was written has the same id."""
    group_plan = GroupPlan()
    if group.latest_generation_id is None:
        generation = GroupGeneration(event_id, 1, context.now, version=1, is_new=True)
        group.generations[generation.id] = generation
        group.latest_generation_id = generation.id
        group_plan.changed_generations[generation.id] = generation
        group_plan.planned_client_events.append(
            PlannedClientEvent(
                ClientEventType.ANNOUNCED,
                generation.id,
                1,
                newly_announced_count=1,
                event_id=event_id,
            )
        )
    return group_plan
