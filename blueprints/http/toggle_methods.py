"""Methods of routes that switch a state: PUT on, DELETE off; POST toggles, where the seed has it."""

from flask import request

from app.ingest.actions import DesiredState

SWITCH_METHODS = ("PUT", "DELETE")
TOGGLE_METHODS = (*SWITCH_METHODS, "POST")
_DESIRED_STATE_BY_METHOD = dict(
    zip(TOGGLE_METHODS, (DesiredState.ON, DesiredState.OFF, DesiredState.TOGGLE), strict=True)
)


def desired_state_from_method() -> DesiredState:
    return _DESIRED_STATE_BY_METHOD[request.method]
