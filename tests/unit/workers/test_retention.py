"""The retention loop: order of the categories, pauses, intervals and errors. No services."""

import logging
from datetime import UTC, datetime
from typing import cast

import pytest

from app.clients.leases import PostgresLease
from app.domain.errors import Unavailable
from app.operations.retention import CategoryProgress, RetentionPurge
from app.operations.retention_categories import RETENTION_CATEGORIES, BatchResult, RetentionCategory
from workers.retention import (
    FAILURE_PAUSE_SECONDS,
    LEASE_RETRY_SECONDS,
    MAX_IDLE_DELAY_SECONDS,
    RetentionLoop,
    due_categories,
)

NAMES = list(RETENTION_CATEGORIES)
FIRST, SECOND = NAMES[:2]
INTERVAL_SECONDS = 3600.0


class InMemoryRetention:
    """Purge, progress and lease in memory, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.batch_seconds = 0.0
        self.rows_by_category: dict[str, int] = {}
        self.completed_at: dict[str, float] = {}
        self.purged_names: list[str] = []
        self.failing_name = ""
        self.is_lease_free = True

    def purge_batch(self, category: RetentionCategory) -> BatchResult:
        self.now += self.batch_seconds
        self.purged_names.append(category.name)
        if category.name == self.failing_name:
            raise Unavailable("a test", "postgres_unavailable")
        row_count = self.rows_by_category.get(category.name, 0)
        deleted_count = min(row_count, category.batch_size)
        self.rows_by_category[category.name] = row_count - deleted_count
        has_more = deleted_count == category.batch_size
        if not has_more:
            self.completed_at[category.name] = self.now
        return BatchResult(deleted_count, has_more)

    def read_progress(self) -> dict[str, CategoryProgress]:
        return {
            name: CategoryProgress(0, datetime.fromtimestamp(completed_at, UTC), self.now - completed_at)
            for name, completed_at in self.completed_at.items()
        }

    def acquire_or_renew(self) -> bool:
        return self.is_lease_free

    def create_loop(self, interval_seconds: float = INTERVAL_SECONDS) -> RetentionLoop:
        return RetentionLoop(
            cast("RetentionPurge", self),
            cast("PostgresLease", self),
            interval_seconds,
            lambda: self.now,
        )

    def run(self, loop: RetentionLoop, seconds: float) -> None:
        """As the worker does: a step, then its idle delay."""
        end = self.now + seconds
        while self.now < end:
            assert loop.step() == 0
            self.now += loop.idle_delay()


@pytest.fixture
def retention() -> InMemoryRetention:
    return InMemoryRetention()


def test_round_purges_each_category_in_order(retention: InMemoryRetention) -> None:
    retention.run(retention.create_loop(), 60)

    assert retention.purged_names == NAMES


def test_next_round_begins_after_the_interval(retention: InMemoryRetention) -> None:
    loop = retention.create_loop()
    retention.run(loop, 60)

    retention.run(loop, INTERVAL_SECONDS - 120)
    assert retention.purged_names == NAMES
    retention.run(loop, 180)
    assert retention.purged_names == NAMES * 2


def test_large_category_does_not_delay_the_others(retention: InMemoryRetention) -> None:
    batch_size = RETENTION_CATEGORIES[FIRST].batch_size
    retention.rows_by_category[FIRST] = 3 * batch_size

    retention.run(retention.create_loop(), 60)

    assert retention.purged_names == [*NAMES, FIRST, FIRST, FIRST]


@pytest.mark.parametrize(("batch_seconds", "pause_seconds"), [(0.1, 0.9), (2.0, 18.0)])
def test_loop_rests_after_a_batch_in_proportion_to_its_duration(
    retention: InMemoryRetention, batch_seconds: float, pause_seconds: float
) -> None:
    retention.batch_seconds = batch_seconds
    loop = retention.create_loop()
    loop.step()

    retention.now += pause_seconds - 0.01
    loop.step()
    assert retention.purged_names == [FIRST]
    retention.now += 0.02
    loop.step()
    assert retention.purged_names == [FIRST, SECOND]


def test_loop_never_sleeps_longer_than_between_two_heartbeats(retention: InMemoryRetention) -> None:
    loop = retention.create_loop()
    retention.run(loop, 60)

    loop.step()

    assert loop.idle_delay() == MAX_IDLE_DELAY_SECONDS


def test_interval_of_zero_switches_the_loop_off(retention: InMemoryRetention) -> None:
    loop = retention.create_loop(interval_seconds=0)

    retention.run(loop, 60)

    assert (retention.purged_names, loop.idle_delay()) == ([], MAX_IDLE_DELAY_SECONDS)


def test_process_without_the_lease_purges_nothing_until_it_gets_it(retention: InMemoryRetention) -> None:
    retention.is_lease_free = False
    loop = retention.create_loop()
    retention.run(loop, 30)
    assert retention.purged_names == []

    retention.is_lease_free = True
    retention.run(loop, LEASE_RETRY_SECONDS + 30)

    assert retention.purged_names == NAMES


def test_restarted_process_goes_on_with_the_categories_that_are_due(retention: InMemoryRetention) -> None:
    killed_loop = retention.create_loop()
    while len(retention.purged_names) < 4:
        retention.run(killed_loop, 0.01)

    retention.run(retention.create_loop(), 60)

    assert retention.purged_names == NAMES


def test_category_that_fails_is_repeated_after_the_others_and_a_pause(retention: InMemoryRetention) -> None:
    retention.failing_name = FIRST
    loop = retention.create_loop()
    with pytest.raises(Unavailable):
        loop.step()
    retention.run(loop, FAILURE_PAUSE_SECONDS - 1)
    assert retention.purged_names == [FIRST]

    retention.failing_name = ""
    retention.run(loop, 60)

    assert retention.purged_names == [FIRST, *NAMES[1:], FIRST]


@pytest.mark.parametrize(
    ("rows_by_category", "expected_messages"),
    [
        ({}, []),
        (
            {FIRST: 2, "sent messages": 3},
            [f"Deleted rows past their retention: 2 {FIRST}, 3 sent messages"],
        ),
    ],
    ids=["nothing deleted", "rows deleted"],
)
def test_round_is_logged_only_if_rows_were_deleted(
    retention: InMemoryRetention,
    caplog: pytest.LogCaptureFixture,
    rows_by_category: dict[str, int],
    expected_messages: list[str],
) -> None:
    retention.rows_by_category = rows_by_category

    with caplog.at_level(logging.INFO, logger="workers.retention"):
        retention.run(retention.create_loop(), INTERVAL_SECONDS + 60)

    assert caplog.messages == expected_messages


def _progress(completed_seconds_ago: float | None) -> CategoryProgress:
    return CategoryProgress(0, None, completed_seconds_ago)


@pytest.mark.parametrize(
    ("progress_of_first", "is_due", "seconds_until_next"),
    [
        pytest.param(None, True, 40.0, id="batches deleted, never completed"),
        pytest.param(100.0, True, 40.0, id="completed an interval ago"),
        pytest.param(99.0, False, 1.0, id="completed within the interval"),
        pytest.param(-5.0, False, 40.0, id="clock set back"),
    ],
)
def test_category_is_due_an_interval_after_it_was_completed(
    progress_of_first: float | None, is_due: bool, seconds_until_next: float
) -> None:
    progress = {name: _progress(60.0) for name in NAMES} | {FIRST: _progress(progress_of_first)}

    due, seconds = due_categories(progress, interval_seconds=100.0)

    assert [category.name for category in due] == ([FIRST] if is_due else [])
    assert seconds == seconds_until_next
