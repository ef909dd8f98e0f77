"""Retention of notifications: read, archived and removed ones, their actors, and concurrent writers."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from app.domain.events import Kind
from app.operations import retention_categories
from app.operations.retention import RetentionPurge
from app.operations.retention_categories import RETENTION_CATEGORIES
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import insert_users, like_event, unlike_event

pytestmark = pytest.mark.service
READ_DAYS = 90
SET_TIMES = (
    "update notifications set is_read = :is_read, "
    "read_at = case when :is_read then now() - make_interval(days => :days) end, "
    "archived_at = case when :is_archived then now() - make_interval(days => :days) end, "
    "updated_at = now() - make_interval(days => :changed_days)"
)


def _age(
    writer: EventWriterHarness,
    days: int,
    is_read: bool = True,
    is_archived: bool = False,
    changed_days: int | None = None,
) -> None:
    writer.execute(
        SET_TIMES,
        days=days,
        is_read=is_read,
        is_archived=is_archived,
        changed_days=days if changed_days is None else changed_days,
    )


def _purge(engine: Engine) -> dict[str, int]:
    purged = dict(RetentionPurge(engine, READ_DAYS).purge_by_category())
    return {name: count for name, count in purged.items() if count}


@pytest.mark.parametrize(
    ("days", "is_read", "is_archived", "changed_days", "expected"),
    [
        pytest.param(91, True, False, 91, {"read notifications": 1}, id="read"),
        pytest.param(89, True, False, 89, {}, id="read within the retention"),
        pytest.param(91, True, False, 3, {}, id="read, an actor came or left recently"),
        pytest.param(900, False, False, 900, {}, id="unread"),
        pytest.param(91, False, True, 91, {"archived notifications": 1}, id="archived unread"),
        pytest.param(89, False, True, 89, {}, id="archived within the retention"),
    ],
)
def test_only_old_read_or_archived_notifications_are_deleted(
    writer: EventWriterHarness,
    engine: Engine,
    days: int,
    is_read: bool,
    is_archived: bool,
    changed_days: int,
    expected: dict[str, int],
) -> None:
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1), like_event(users.carol_id, users, 2))
    _age(writer, days, is_read, is_archived, changed_days)

    assert _purge(engine) == expected

    assert writer.count_rows("notifications") == 1 - len(expected)
    assert writer.count_rows("notification_actors") == 2 * (1 - len(expected))


def test_snoozed_notification_is_kept(writer: EventWriterHarness, engine: Engine) -> None:
    writer.write(like_event(writer.sample_users.bob_id, writer.sample_users, 1))
    _age(writer, 91)
    writer.execute("update notifications set snoozed_until = now() + interval '1 day'")

    assert _purge(engine) == {}


def test_unread_count_does_not_change(writer: EventWriterHarness, engine: Engine) -> None:
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1))
    _age(writer, 91)
    writer.write(like_event(users.carol_id, users, 2))
    unread_counts = writer.unread_counts

    assert _purge(engine)["read notifications"] == 1

    assert writer.unread_counts == unread_counts
    assert writer.query("select generation, is_read from notifications") == [(2, False)]


def test_group_of_a_deleted_generation_goes_on(writer: EventWriterHarness, engine: Engine) -> None:
    users = writer.sample_users
    first_like = like_event(users.bob_id, users, 1)
    writer.write(first_like)
    _age(writer, 91)
    _purge(engine)

    writer.write(first_like)  # a late copy: the row of the like decides
    assert writer.count_rows("notifications") == 0
    writer.write(like_event(users.carol_id, users, 2))
    writer.write(unlike_event(users.bob_id, users, 3))

    assert writer.query("select generation, actor_count, removed_at from notifications") == [(1, 1, None)]


def test_newest_generation_is_deleted_before_an_older_unread_one(
    writer: EventWriterHarness, engine: Engine
) -> None:
    """The next generation takes the number of the deleted one."""
    actors = insert_users(engine, "Eva", "Finn", "Gil")
    for seq, actor_id in enumerate(actors, 1):
        writer.write(like_event(actor_id, writer.sample_users, seq))
        _age(writer, 91)
    writer.execute("update notifications set is_read = false, read_at = null where generation < 3")
    assert _purge(engine)["read notifications"] == 1

    writer.clock.advance(13 * 3600)
    writer.write(like_event(writer.sample_users.carol_id, writer.sample_users, 9))

    assert writer.query("select generation from notifications order by 1") == [(1,), (2,), (3,)]


def test_notification_with_many_actors_is_deleted_in_several_batches(
    writer: EventWriterHarness, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_categories, "MAX_ACTORS_PER_BATCH", 3)
    actors = insert_users(engine, *(f"P{n}" for n in range(7)))
    writer.write(*(like_event(actor_id, writer.sample_users, seq) for seq, actor_id in enumerate(actors, 1)))
    _age(writer, 91)
    purge, category = RetentionPurge(engine, READ_DAYS), RETENTION_CATEGORIES["read notifications"]

    left = []
    for _ in range(3):
        purge.purge_batch(category)
        left.append((writer.count_rows("notification_actors"), writer.count_rows("notifications")))

    assert left == [(4, 1), (1, 1), (0, 0)]


@pytest.mark.parametrize("category_name", ["read notifications", "removed notifications"])
def test_recipient_whose_notifications_are_being_written_is_left_to_the_next_round(
    writer: EventWriterHarness, engine: Engine, category_name: str
) -> None:
    """The writer may be about to insert an actor into the row."""
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1))
    _age(writer, 91)
    if category_name == "removed notifications":
        writer.execute("update notifications set removed_at = now() - interval '91 days', is_read = false")
    purge, category = RetentionPurge(engine, READ_DAYS), RETENTION_CATEGORIES[category_name]

    with engine.begin() as conn:
        conn.execute(
            text("select 1 from users where id = :alice for no key update"), {"alice": users.alice_id}
        )
        assert purge.purge_batch(category).deleted_count == 0
    assert purge.purge_batch(category).deleted_count == 1


def test_late_copy_of_a_share_in_a_changed_notification_is_not_announced_again(
    writer: EventWriterHarness, engine: Engine
) -> None:
    """A share has no row of its own: only its notification recognizes the copy."""
    share = replace(like_event(writer.sample_users.bob_id, writer.sample_users, 1), kind=Kind.POST_SHARE)
    writer.write(share)
    _age(writer, 91, changed_days=6)
    _purge(engine)

    writer.write(share)

    assert len(writer.announcement_messages) == 1
