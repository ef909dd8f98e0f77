"""Waiting for a condition with a timeout."""

import time
from collections.abc import Callable

POLL_INTERVAL_SECONDS = 0.02


class WaitTimeoutError(RuntimeError):
    """The condition did not become true in time."""


def wait_until(condition: Callable[[], object], description: str, timeout_seconds: float) -> None:
    """Polls until `condition` is true. Raises WaitTimeoutError with `description` after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise WaitTimeoutError(f"timed out after {timeout_seconds:.0f} s: {description}")
        time.sleep(POLL_INTERVAL_SECONDS)
