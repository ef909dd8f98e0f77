"""Fail points: named lines at which tests and drills end, freeze or fail the process.

    FAILPOINT=bridge.published             SIGKILL at that line
    FAILPOINT=bridge.published:3           at the third pass of that line
    FAILPOINT=bridge.published:1:freeze    SIGSTOP; the test sends SIGCONT
    FAILPOINT=bridge.published:1:raise     the line raises Unavailable

Ignored unless APP_MODE is testing.
"""

import os
import signal

from app.domain import worker_loops
from app.domain.errors import Unavailable

FAILPOINT_NAMES = (
    "web.accepted",
    "web.post_inserted",
    "web.post_before_commit",
    "web.post_committed",
    "bridge.read",
    "bridge.published",
    "bridge.enqueued",
    "bridge.drained",
    "bridge.acknowledged",
    "aggregator.polled",
    "aggregator.gathered",
    "aggregator.written",
    "aggregator.applied",
    "flusher.claimed",
    "flusher.written",
    "flusher.settled",
    "fan-out.mentions",
    "fan-out.page",
    "relay.read",
    "relay.published",
    "deliverer.polled",
    "deliverer.emitted",
    "delivery-log.recorded",
    "fan-out-log.recorded",
    "mailer.sent",
)
KILL, FREEZE, RAISE = "kill", "freeze", "raise"

_active_failpoint, _pass_number, _action = [*os.environ.get("FAILPOINT", "").split(":"), "", ""][:3]
if os.environ.get("APP_MODE") != "testing":
    _active_failpoint = ""
_passes_left = int(_pass_number or 1)


def process_for_failpoint(failpoint: str) -> str:
    """The Procfile entry of the process that reaches the fail point."""
    return worker_loops.process_of_loop_or_stage(failpoint.partition(".")[0])


def hit_failpoint(name: str) -> None:
    """Ends, freezes or fails the process if this is the configured fail point."""
    global _passes_left
    if name == _active_failpoint:
        _passes_left -= 1
        if _passes_left == 0:
            _trigger_failpoint()


def _trigger_failpoint() -> None:
    if _action == RAISE:
        raise Unavailable(f"Fail point {_active_failpoint}", "failpoint")
    os.kill(os.getpid(), signal.SIGSTOP if _action == FREEZE else signal.SIGKILL)
