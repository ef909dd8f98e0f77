"""Fail points: named lines at which a test or drill lets this very process die, freeze or fail.

    FAILPOINT=bridge.published             SIGKILL at that line
    FAILPOINT=bridge.published:3           at the third pass
    FAILPOINT=bridge.published:1:freeze    SIGSTOP; whoever set it sends SIGCONT
    FAILPOINT=bridge.published:1:raise     the line fails as if the service behind it were away

Off unless set, never set by anything of ours but tests and drills, and deaf unless APP_MODE says
that this is no production.
"""

import os
import signal

from app.domain import loops
from app.domain.errors import Unavailable

NAMES = (
    "web.accepted",
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
    "relay.read",
    "relay.published",
    "deliverer.polled",
    "deliverer.emitted",
    "recorder.recorded",
    "mail-queue.queued",
    "mailer.sent",
)
KILL, FREEZE, RAISE = "kill", "freeze", "raise"

_name, _times, _how = [*os.environ.get("FAILPOINT", "").split(":"), "", ""][:3]
if os.environ.get("APP_MODE") != "testing":
    _name = ""
_left = int(_times or 1)


def process_of(point: str) -> str:
    """The process that comes by that line: a word of the Procfile."""
    return loops.process_of(point.partition(".")[0])


def reach(name: str) -> None:
    """Ends, stops or fails here if this is the chosen line."""
    global _left
    if name == _name:
        _left -= 1
        if _left == 0:
            _act()


def _act() -> None:
    if _how == RAISE:
        raise Unavailable(f"The fail point {_name} fails", "failpoint")
    os.kill(os.getpid(), signal.SIGSTOP if _how == FREEZE else signal.SIGKILL)
