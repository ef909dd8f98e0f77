"""Seen receipts: one outbox row per version that the recipient was shown."""

import pytest
from sqlalchemy import Engine, text

from app.persistence.seen_receipts import SeenReceipt, record_seen_receipts
from tests.support.fixtures import SampleUsers, insert_sample_users, new_id

pytestmark = pytest.mark.service


def insert_notification(engine: Engine, sample_users: SampleUsers, version: int = 2) -> str:
    notification_id = new_id()
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into notifications (id, user_id, type, priority, object_id, generation, "
                "version, title, message) "
                "values (:id, :user, 'LIKE', 'LOW', :post, 1, :version, 't', 'm')"
            ),
            {
                "id": notification_id,
                "user": sample_users.alice_id,
                "post": sample_users.post_id,
                "version": version,
            },
        )
    return notification_id


def seen_outbox_rows(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as conn:
        rows = conn.execute(
            text(
                "select user_id::text, client_seq, payload->>'id', (payload->>'version')::int "
                "from outbox where client_event = 'seen' order by id"
            )
        )
        return [tuple(row) for row in rows]


def test_seen_receipt_is_recorded_once_per_version(engine: Engine) -> None:
    sample_users = insert_sample_users(engine)
    row = insert_notification(engine, sample_users)
    first, second = SeenReceipt(sample_users.alice_id, row, 1), SeenReceipt(sample_users.alice_id, row, 2)
    assert record_seen_receipts(engine, [first, second]) == 2
    assert record_seen_receipts(engine, [second, first]) == 0
    assert seen_outbox_rows(engine) == [
        (sample_users.alice_id, None, row, 1),
        (sample_users.alice_id, None, row, 2),
    ]


def test_seen_receipts_for_foreign_rows_and_unknown_versions_are_ignored(engine: Engine) -> None:
    sample_users = insert_sample_users(engine)
    row = insert_notification(engine, sample_users)
    receipts = [
        SeenReceipt(sample_users.bob_id, row, 1),
        SeenReceipt(sample_users.alice_id, row, 3),
        SeenReceipt(sample_users.alice_id, new_id(), 1),
    ]
    assert record_seen_receipts(engine, receipts) == 0
    assert seen_outbox_rows(engine) == []
