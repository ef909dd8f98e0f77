"""The failback as a table: every state and observation leads to one state and one action (P7)."""

import pytest

from app.failover.failback_states import Action, FailbackState, Observation, next_transition

S, Seen, A = FailbackState, Observation, Action
WAITING_STATES = [state for state in S if state is not S.WATCHING]

TABLE: dict[tuple[FailbackState, Observation], tuple[FailbackState, Action]] = {
    # Whatever the worker waits for: Redis may be in use again, emptied, or enabled by a late command.
    **{(state, Seen.IN_USE): (S.WATCHING, A.APPLY_LATE_DELETIONS) for state in S},
    **{(state, Seen.EMPTIED): (S.WATCHING, A.REPORT_DATA_LOSS) for state in S},
    **{(state, Seen.STRAY_KEY): (state, A.DELETE_KEY) for state in S},
    # A failback begins. Only an incomplete Redis needs the whole pipeline drained.
    (S.WATCHING, Seen.OUTAGE): (S.CATCHING_UP, A.START_FAILOVER),
    (S.WATCHING, Seen.INCOMPLETE): (S.DRAINING_INGRESS, A.START_FAILOVER),
    # After an outage: the events about affected objects, or everything if that takes too long.
    (S.CATCHING_UP, Seen.PENDING): (S.CATCHING_UP, A.MAKE_WINDOWS_DUE),
    (S.CATCHING_UP, Seen.OVERDUE): (S.DRAINING_INGRESS, A.NONE),
    (S.CATCHING_UP, Seen.DONE): (S.RESTING, A.SWITCH_BACK),
    # Draining, in the order in which an event moves.
    (S.DRAINING_INGRESS, Seen.PENDING): (S.DRAINING_INGRESS, A.NONE),
    (S.DRAINING_INGRESS, Seen.DONE): (S.DRAINING_TOPICS, A.NOTE_OFFSETS),
    (S.DRAINING_TOPICS, Seen.PENDING): (S.DRAINING_TOPICS, A.NONE),
    (S.DRAINING_TOPICS, Seen.DONE): (S.DRAINING_WINDOWS, A.MAKE_WINDOWS_DUE),
    (S.DRAINING_WINDOWS, Seen.PENDING): (S.DRAINING_WINDOWS, A.NONE),
    (S.DRAINING_WINDOWS, Seen.DONE): (S.RESTING, A.SWITCH_BACK),
    # After the switch Redis is IN_USE, or another failback begins.
    (S.RESTING, Seen.PENDING): (S.RESTING, A.NONE),
    (S.RESTING, Seen.DONE): (S.WATCHING, A.NONE),
}
IMPOSSIBLE = {
    *((S.WATCHING, observation) for observation in (Seen.PENDING, Seen.DONE, Seen.OVERDUE)),
    *((state, observation) for state in WAITING_STATES for observation in (Seen.OUTAGE, Seen.INCOMPLETE)),
    *(
        (state, Seen.OVERDUE)
        for state in (S.DRAINING_INGRESS, S.DRAINING_TOPICS, S.DRAINING_WINDOWS, S.RESTING)
    ),
}


@pytest.mark.parametrize(("state", "observation"), TABLE)
def test_transition(state: FailbackState, observation: Observation) -> None:
    assert next_transition(state, observation) == TABLE[state, observation]


def test_table_covers_everything_that_can_be_observed() -> None:
    assert {(state, observation) for state in S for observation in Seen} == set(TABLE) | IMPOSSIBLE
    assert not set(TABLE) & IMPOSSIBLE


@pytest.mark.parametrize("state", WAITING_STATES)
def test_every_failback_ends_with_a_switch(state: FailbackState) -> None:
    """DONE again and again leads to SWITCH_BACK."""
    actions = []
    while state not in (S.WATCHING, S.RESTING):
        state, action = next_transition(state, Seen.DONE)
        actions.append(action)
    assert actions[-1:] in ([], [A.SWITCH_BACK])


def test_redis_is_never_used_again_before_an_incomplete_one_is_drained() -> None:
    state: FailbackState = S.WATCHING
    actions = []
    for observation in (Seen.INCOMPLETE, Seen.DONE, Seen.DONE, Seen.DONE):
        state, action = next_transition(state, observation)
        actions.append(action)
    assert actions == [A.START_FAILOVER, A.NOTE_OFFSETS, A.MAKE_WINDOWS_DUE, A.SWITCH_BACK]
