"""Pauses as functions of a draw in [0, 1), so that a test can hold chance in its hand."""


def jittered(period: float, spread: float, draw: float) -> float:
    """`period` moved evenly over [period - spread, period + spread), never below zero."""
    return max(0.0, period + spread * (2.0 * draw - 1.0))


def backoff(attempt: int, base: float, cap: float, draw: float) -> float:
    """The pause before try `attempt` (0 for the first repeat): doubled each time, "equal jitter".

    Half of the pause is fixed and half is drawn, so that many clients neither come back together
    nor hammer at once (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    full = min(cap, base * 2.0 ** min(attempt, 32))
    return full / 2.0 + full / 2.0 * draw
