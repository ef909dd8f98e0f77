"""Polling for a condition with a time-out, for tests that check the result themselves."""

import time
from collections.abc import Callable


def poll_until(condition: Callable[[], object], timeout_seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
