"""Read receipts: buffered within limits and written in batches."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.delivery.read_receipts import (
    MAX_PENDING_ACKS,
    MAX_PENDING_ACKS_PER_USER,
    ReadReceiptBuffer,
    parse_seen_receipt,
)
from app.domain.errors import Unavailable
from app.persistence.seen_receipts import SeenReceipt
from tests.support.fixtures import new_id

ALICE, ROW = new_id(), new_id()


class MemoryReceiptTable:
    """Keeps receipts in memory; raises Unavailable while is_unavailable is set."""

    def __init__(self) -> None:
        self.receipts: list[SeenReceipt] = []
        self.is_unavailable = False

    def record(self, receipts: Sequence[SeenReceipt]) -> int:
        if self.is_unavailable:
            raise Unavailable("PostgreSQL is unavailable", "postgres_unavailable")
        self.receipts += receipts
        return len(receipts)


def ack(row: str = ROW, version: Any = 1) -> dict[str, Any]:
    return {"notificationId": row, "version": version}


def test_receipts_are_written_once_in_order() -> None:
    table = MemoryReceiptTable()
    buffer = ReadReceiptBuffer(table.record)
    for version in (1, 2, 1):
        buffer.add_ack(ALICE, ack(version=version))
    assert buffer.step() == 2
    assert buffer.step() == 0
    assert table.receipts == [SeenReceipt(ALICE, ROW, 1), SeenReceipt(ALICE, ROW, 2)]


def test_receipts_are_kept_while_postgresql_is_unavailable() -> None:
    table = MemoryReceiptTable()
    buffer = ReadReceiptBuffer(table.record)
    buffer.add_ack(ALICE, ack())
    table.is_unavailable = True
    with pytest.raises(Unavailable):
        buffer.step()
    table.is_unavailable = False
    buffer.flush()
    assert table.receipts == [SeenReceipt(ALICE, ROW, 1)]


def test_one_user_cannot_fill_the_buffer() -> None:
    buffer = ReadReceiptBuffer(MemoryReceiptTable().record)
    for version in range(1, MAX_PENDING_ACKS_PER_USER + 5):
        buffer.add_ack(ALICE, ack(version=version))
    assert buffer.dropped_count == 4
    buffer.add_ack(new_id(), ack())
    assert buffer.dropped_count == 4
    buffer.flush()
    buffer.add_ack(ALICE, ack())
    assert buffer.dropped_count == 4


def test_receipt_buffer_is_bounded() -> None:
    buffer = ReadReceiptBuffer(MemoryReceiptTable().record)
    for _ in range(MAX_PENDING_ACKS + 3):
        buffer.add_ack(new_id(), ack())
    assert buffer.dropped_count == 3


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "x",
        [],
        {},
        {"notificationId": 1},
        {"notificationId": "x", "version": 1},
        ack(version=True),
        ack(version=0),
        ack(version="1"),
        ack(version=2**40),
    ],
)
def test_invalid_receipt_is_ignored(payload: Any) -> None:
    assert parse_seen_receipt(ALICE, payload) is None


def test_receipt_without_version_is_accepted() -> None:
    assert parse_seen_receipt(ALICE, {"notificationId": ROW.upper()}) == SeenReceipt(ALICE, ROW, 1)
