"""Idle delays of the worker loops: how long a loop rests after a step that moved nothing."""

import random
import time
from collections.abc import Callable

from app.clients.pg_notify import PgNotifyListener
from app.domain.backoff import jittered_delay

SPREAD_RATIO = 0.3
"""Loops of several processes do not rest in step."""


def make_idle_delay(idle_seconds: float) -> Callable[[], float]:
    """An idle delay of about `idle_seconds`."""
    return lambda: jittered_delay(idle_seconds, SPREAD_RATIO * idle_seconds, random.random())  # noqa: S311 - a pause


def make_notify_delay(pg_listener: PgNotifyListener) -> Callable[[], float]:
    """An idle delay that itself waits for a NOTIFY, about a second at most."""
    max_wait = make_idle_delay(1.0)

    def wait_for_notify() -> float:
        pg_listener.wait_for_payloads(max_wait())
        return 0.0

    return wait_for_notify


def step_then_rest(
    step: Callable[[], int],
    rest_ratio: float,
    min_moved_count: int = 1,
    rest: Callable[[float], object] = time.sleep,
) -> int:
    """Runs a step. If it moved at least `min_moved_count` items, rests `rest_ratio` times as long as it took,
    so that a long backlog leaves time of the services to everybody else. Returns what the step returned."""
    started_at = time.monotonic()
    moved_count = step()
    if moved_count >= min_moved_count:
        rest(rest_ratio * (time.monotonic() - started_at))
    return moved_count
