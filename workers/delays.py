"""Idle delays of the worker loops: how long a loop rests after a step that moved nothing."""

import random
import time
from collections.abc import Callable

from app.clients.pg_notify import PgNotifyListener
from app.domain.backoff import jittered_delay

FLUSH_INTERVAL_SECONDS, FLUSH_INTERVAL_SPREAD_SECONDS = 0.25, 0.1
TABLE_POLL_INTERVAL_SECONDS, TABLE_POLL_INTERVAL_SPREAD_SECONDS = 1.0, 0.3
DELIVERY_LOG_INTERVAL_SECONDS = 0.4


def no_delay() -> float:
    return 0.0


def make_notify_delay(pg_listener: PgNotifyListener) -> Callable[[], float]:
    """An idle delay that itself waits for a NOTIFY, about a second at most."""

    def wait_for_notify() -> float:
        pg_listener.wait_for_payloads(jittered_delay(1.0, 0.3, random.random()))  # noqa: S311 - a pause
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


def delivery_log_delay() -> float:
    return DELIVERY_LOG_INTERVAL_SECONDS


def table_poll_delay() -> float:
    return jittered_delay(TABLE_POLL_INTERVAL_SECONDS, TABLE_POLL_INTERVAL_SPREAD_SECONDS, random.random())  # noqa: S311 - a pause


def flush_delay() -> float:
    return jittered_delay(FLUSH_INTERVAL_SECONDS, FLUSH_INTERVAL_SPREAD_SECONDS, random.random())  # noqa: S311 - a pause
