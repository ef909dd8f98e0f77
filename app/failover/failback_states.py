"""The failback as a state machine: what the failback worker waits for, and what it does next. No I/O.

In: the state and what workers/redis_failback.py observed. Out: the next state and one action. A worker that
dies or loses its lease leaves no state behind: its successor begins with WATCHING and observes all anew.

After an outage, Redis lacks the writes that bypassed it, and only those: it is enough that PostgreSQL has
every event about the objects they concern, which are invalidated. After it was emptied, Redis lacks
everything that is not in PostgreSQL yet: the whole pipeline must be drained. That is also done if the first
takes too long.
"""

from enum import StrEnum


class FailbackState(StrEnum):
    """What the worker waits for."""

    WATCHING = "a reason for a failback"
    CATCHING_UP = "the events about affected objects to be written"
    DRAINING_INGRESS = "the ingress"
    DRAINING_TOPICS = "the fallback queue and Kafka"
    DRAINING_WINDOWS = "open windows to be written"
    RESTING = "the next attempt to switch back"


class Observation(StrEnum):
    IN_USE = "writes go through Redis"
    EMPTIED = "Redis has lost its data since it was last used"
    STRAY_KEY = "a late command enabled the ingress during the failover"
    OUTAGE = "Redis is not in use, and has what it had"
    INCOMPLETE = "Redis is not in use, and was emptied or never used"
    PENDING = "what the state waits for has not happened"
    DONE = "it has happened"
    OVERDUE = "it has not happened in time"


class Action(StrEnum):
    NONE = "wait"
    APPLY_LATE_DELETIONS = "apply deletions to Redis whose process died"
    REPORT_DATA_LOSS = "start a failover and report what was lost"
    DELETE_KEY = "delete the ingress key"
    START_FAILOVER = "make sure that a failover is active and no pause; note when the ingress was disabled"
    MAKE_WINDOWS_DUE = "make open windows due, so that their rows are written"
    NOTE_OFFSETS = "note up to which row and offset the pipeline must have moved"
    SWITCH_BACK = "pause the writers and use Redis again, if everything is written"


Transition = tuple[FailbackState, Action]
_S, _O, _A = FailbackState, Observation, Action

_IN_EVERY_STATE: dict[Observation, Transition | Action] = {
    _O.IN_USE: (_S.WATCHING, _A.APPLY_LATE_DELETIONS),
    _O.EMPTIED: (_S.WATCHING, _A.REPORT_DATA_LOSS),
    _O.STRAY_KEY: _A.DELETE_KEY,
    _O.PENDING: _A.NONE,
}
_TRANSITIONS: dict[tuple[FailbackState, Observation], Transition] = {
    (_S.WATCHING, _O.OUTAGE): (_S.CATCHING_UP, _A.START_FAILOVER),
    (_S.WATCHING, _O.INCOMPLETE): (_S.DRAINING_INGRESS, _A.START_FAILOVER),
    (_S.CATCHING_UP, _O.PENDING): (_S.CATCHING_UP, _A.MAKE_WINDOWS_DUE),
    (_S.CATCHING_UP, _O.OVERDUE): (_S.DRAINING_INGRESS, _A.NONE),
    (_S.CATCHING_UP, _O.DONE): (_S.RESTING, _A.SWITCH_BACK),
    (_S.DRAINING_INGRESS, _O.DONE): (_S.DRAINING_TOPICS, _A.NOTE_OFFSETS),
    (_S.DRAINING_TOPICS, _O.DONE): (_S.DRAINING_WINDOWS, _A.MAKE_WINDOWS_DUE),
    (_S.DRAINING_WINDOWS, _O.DONE): (_S.RESTING, _A.SWITCH_BACK),
    (_S.RESTING, _O.DONE): (_S.WATCHING, _A.NONE),
}


def next_transition(state: FailbackState, observation: Observation) -> Transition:
    """The next state, and the action on the way. Raises KeyError for what the state cannot observe."""
    if (state, observation) in _TRANSITIONS:
        return _TRANSITIONS[state, observation]
    in_every_state = _IN_EVERY_STATE[observation]
    return (state, in_every_state) if isinstance(in_every_state, Action) else in_every_state
