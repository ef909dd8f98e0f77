"""Fail points: named lines at which a test or drill lets this very process die.

FAILPOINT=bridge.published kills with SIGKILL at that name; FAILPOINT=bridge.published:3 at the
third pass. Off unless set, and never set by anything of ours but tests and drills.
"""

import os
import signal

_name, _, _times = os.environ.get("FAILPOINT", "").partition(":")
_left = int(_times or 1)

NAMES = (
    "bridge.read",
    "bridge.published",
    "bridge.enqueued",
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
)


def reach(name: str) -> None:
    """Dies here if this is the chosen line."""
    global _left
    if name == _name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
