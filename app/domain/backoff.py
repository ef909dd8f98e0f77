"""Delays with jitter and back-off, computed from a random number in [0, 1) that the caller passes in."""


def jittered_delay(period_seconds: float, jitter_seconds: float, random_unit: float) -> float:
    """A delay spread evenly over [period - jitter, period + jitter) seconds, never below zero."""
    return max(0.0, period_seconds + jitter_seconds * (2.0 * random_unit - 1.0))


def backoff_delay(attempt: int, base_seconds: float, max_seconds: float, random_unit: float) -> float:
    """Seconds before retry `attempt` (0 for the first): doubled each time up to a maximum, with "equal
    jitter".

    Half of the delay is fixed and half is random, so that many clients neither retry together nor at once
    (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    full_delay_seconds = min(max_seconds, base_seconds * 2.0 ** min(attempt, 32))
    return full_delay_seconds / 2.0 + full_delay_seconds / 2.0 * random_unit
