"""Waiting for a condition with a timeout."""

import time
from collections.abc import Callable

POLL_INTERVAL_SECONDS = 0.02


class WaitTimeoutError(RuntimeError):
    """The condition did not become true in time."""


def wait_until(condition: Callable[[], object], description: str, timeout_seconds: float) -> None:
    """Polls until `condition` is true. Raises WaitTimeoutError with `description` after the timeout."""
    if not poll_until(condition, timeout_seconds):
        raise WaitTimeoutError(f"timed out after {timeout_seconds:.0f} s: {description}")


def poll_until(condition: Callable[[], object], timeout_seconds: float = 10.0) -> bool:
    """Polls until `condition` is true; False after the timeout. For callers that check the result."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_SECONDS)
    return True
