"""Read receipts: acknowledgements of shown notifications, buffered briefly and written in batches.

Input: notification_ack {notificationId, version} from app/delivery/sockets.py. Output:
app/persistence/seen_receipts.py. A socket never waits for the write. While PostgreSQL is unavailable receipts
stay in the buffer; when it is full, further ones are counted and dropped, because nothing depends on them.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import gevent

from app.domain.errors import Poisoned, Unavailable
from app.domain.events import canonical_uuid
from app.persistence.seen_receipts import SeenReceipt

log = logging.getLogger(__name__)
MAX_PENDING_ACKS, MAX_PENDING_ACKS_PER_USER, MAX_BATCH_ACKS = 10_000, 500, 500
FLUSH_INTERVAL_SECONDS, RETRY_DELAY_SECONDS = 0.2, 1.0
MAX_NOTIFICATION_VERSION = 2**31 - 1


class ReadReceiptBuffer:
    def __init__(self, write_acks: Callable[[Sequence[SeenReceipt]], int]) -> None:
        self._write_acks = write_acks
        self._pending: dict[SeenReceipt, None] = {}
        self._pending_count_by_user: Counter[str] = Counter()
        self.dropped_count = 0

    def add_ack(self, user_id: str, payload: Any) -> None:
        """Ignores a payload that is not a valid acknowledgement."""
        ack = parse_seen_receipt(user_id, payload)
        if ack is None or ack in self._pending:
            return
        if (
            len(self._pending) >= MAX_PENDING_ACKS
            or self._pending_count_by_user[user_id] >= MAX_PENDING_ACKS_PER_USER
        ):
            self.dropped_count += 1
            return
        self._pending[ack] = None
        self._pending_count_by_user[user_id] += 1

    def step(self) -> int:
        """Writes the oldest receipts and returns their number. Raises Unavailable and keeps them."""
        batch = list(self._pending)[:MAX_BATCH_ACKS]
        if batch:
            self._write_acks(batch)
        for ack in batch:
            del self._pending[ack]
            self._pending_count_by_user[ack.user_id] -= 1
        self._pending_count_by_user = +self._pending_count_by_user
        return len(batch)

    def write_forever(self) -> None:
        """Endless."""
        while True:
            gevent.sleep(FLUSH_INTERVAL_SECONDS)
            try:
                while self.step():
                    pass
            except Unavailable as exc:
                log.warning(
                    "%d read receipts are delayed: %s",
                    len(self._pending),
                    exc,
                    extra={"event": "read_receipts_delayed"},
                )
                gevent.sleep(RETRY_DELAY_SECONDS)
            except Exception:  # one bad receipt must not end the loop
                log.exception(
                    "Read receipts could not be written and are dropped",
                    extra={"event": "read_receipts_dropped"},
                )
                self._pending.clear()
                self._pending_count_by_user.clear()

    def flush(self) -> None:
        """For the end of the process: writes the rest if PostgreSQL responds."""
        try:
            while self.step():
                pass
        except Unavailable as exc:
            log.warning(
                "%d read receipts are lost: %s",
                len(self._pending),
                exc,
                extra={"event": "read_receipts_lost"},
            )


def parse_seen_receipt(user_id: str, payload: Any) -> SeenReceipt | None:
    """None unless the payload is `{notificationId, version}`. Without a version (the client of the seed
    application) version 1 is meant."""
    if not isinstance(payload, dict):
        return None
    version = payload.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int):
        return None
    if not 1 <= version <= MAX_NOTIFICATION_VERSION:
        return None
    try:
        return SeenReceipt(user_id, canonical_uuid(payload.get("notificationId"), "notificationId"), version)
    except Poisoned:
        return None
