"""STOP 8b. Mail consumer: from the ready topic to the table of outgoing messages.

In    topic ready-notifications, group "letters-consumer"
Out   stores/outgoing.py
Next  workers/mailer.py

It only writes rows, so that no poll waits for a mail server. Critical messages are in the table
already: the ledger's transaction put them there.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.domain.errors import Poisoned, Unavailable
from app.domain.events import CRITICAL_KINDS, MAX_SEQ, Kind, checked_uuid
from app.domain.loops import LOOPS
from app.failpoints import reach
from app.stores.outgoing import NewMessage, OutgoingMessages
from app.streams.kafka import Polled, Subscriber
from workers.deliverer import parse_ready, positions

LETTERS_GROUP = LOOPS["mail-queue"].group
BATCH = 500
POLL_SECONDS = 0.5
ANNOUNCED = "notification"
CHANNELS = ("EMAIL", "SMS")
MAX_VERSION = 2**31 - 1


class MailConsumer:
    def __init__(
        self, subscriber: Subscriber, messages: OutgoingMessages, now: Callable[[], float]
    ) -> None:
        self._subscriber = subscriber
        self._messages = messages
        self._now = now

    def step(self) -> int:
        """Rows first, then the offset: a record that is read twice adds nothing."""
        polled = self._subscriber.poll(POLL_SECONDS, BATCH)
        if not polled:
            return 0
        now = datetime.fromtimestamp(self._now(), UTC)
        found = [message for one in polled if (message := new_message(one, now))]
        try:
            self._messages.add(found)
            reach("mail-queue.queued")
        except Unavailable:
            self._subscriber.rewind()
            raise
        self._subscriber.commit(positions(polled))
        return len(polled)


def new_message(record: Polled, now: datetime) -> NewMessage | None:
    """What a record asks to send; None for most. What cannot be read the deliverer puts aside."""
    try:
        ready = parse_ready(record.value)
        data = ready["data"]
        channels = _channels(data)
        kind = Kind(data["type"])
        if ready["frame"] != ANNOUNCED or not channels or kind in CRITICAL_KINDS:
            return None
        return NewMessage(
            user_id=ready["targetId"],
            seq=_whole(ready.get("seq"), MAX_SEQ),
            notification_id=checked_uuid(data.get("id"), "id"),
            version=_whole(data.get("version"), MAX_VERSION),
            kind=kind,
            channels=channels,
            created_at=now,
        )
    except (Poisoned, KeyError):
        return None


def _channels(data: dict[str, Any]) -> tuple[str, ...]:
    named = (data.get("metadata") or {}).get("channels", [])
    return tuple(one for one in CHANNELS if one in named)


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or not 0 <= value <= most:
        raise Poisoned("a number that no frame has")
    return value
