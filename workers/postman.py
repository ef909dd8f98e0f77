"""STOP 8b. Postman: e-mail and text messages, from the same ready topic, in a loop of its own.

In    topic ready-notifications, group "letters-consumer"
Out   streams/letters.py

It reads the topic by itself, so a mail server that is away delays no toast, and Kafka keeps what
has yet to be sent. Critical ones are workers/courier.py's.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.domain.errors import Poisoned, Rejected, Unavailable
from app.domain.events import Priority, checked_uuid
from app.failpoints import reach
from app.seals import Seals
from app.streams import dead_letters
from app.streams.dead_letters import DeadLetters
from app.streams.kafka import Polled, Subscriber
from app.streams.letters import Carries, Letter
from workers.deliverer import parse_ready, positions

log = logging.getLogger(__name__)
LETTERS_GROUP = "letters-consumer"
BATCH = 100
POLL_SECONDS = 0.5
REMEMBERED = 10_000
ANNOUNCED = "notification"
Addresses = Callable[[Sequence[str]], Mapping[str, str]]
Present = Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]]
"""Puts current names into frames. Raises Unavailable."""


class Postman:
    """`addresses` tells the e-mail addresses of those who still have an account, `present` what
    people are called now."""

    def __init__(
        self,
        subscriber: Subscriber,
        carriers: Mapping[str, Carries],
        addresses: Addresses,
        present: Present,
        dead_letters: DeadLetters,
        seals: Seals,
    ) -> None:
        self._subscriber = subscriber
        self._carriers = carriers
        self._addresses = addresses
        self._present = present
        self._dead_letters = dead_letters
        self._seals = seals
        self._waiting: list[Polled] = []
        # What has gone: a batch whose last letter waits is not sent again from its first.
        self._sent: OrderedDict[tuple[str, str], None] = OrderedDict()

    def step(self) -> int:
        if not self._waiting:
            self._waiting = self._subscriber.poll(POLL_SECONDS, BATCH)
        if not self._waiting:
            return 0
        asked = [(one, frame) for one in self._waiting if (frame := _announcement(one))]
        known = self._addresses([frame["targetId"] for _, frame in asked]) if asked else {}
        away: dict[str, Unavailable] = {}
        shown = self._present([frame["data"] for _, frame in asked])
        for (record, frame), data in zip(asked, shown, strict=True):
            address = known.get(frame["targetId"])
            if address:
                letter = letter_of(data, frame.get("letter"), address, self._seals)
                self._send(record, letter, _channels(frame), away)
        for fault in away.values():
            raise fault  # nothing is acknowledged: the next step goes on with what has not gone
        reach("postman.sent")
        self._subscriber.commit(positions(self._waiting))
        moved, self._waiting = len(self._waiting), []
        return moved

    def _send(
        self, record: Polled, letter: Letter, channels: list[str], away: dict[str, Unavailable]
    ) -> None:
        """A channel that is away is asked once a step, and stands in no other's way."""
        for channel in channels:
            if channel in away or (letter.id, channel) in self._sent:
                continue
            try:
                self._carriers[channel].send(letter)
            except Unavailable as fault:
                away[channel] = fault
                continue
            except Rejected as reason:
                place = f"{record.partition}:{record.offset}:{channel}"
                # Without its text: it may hold a code.
                self._dead_letters.put(
                    dead_letters.Letter(record.topic, place, f"{channel}: {reason}", None)
                )
            self._remember(letter.id, channel)

    def _remember(self, letter_id: str, channel: str) -> None:
        self._sent[letter_id, channel] = None
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)


def _announcement(record: Polled) -> dict[str, Any] | None:
    """What rings and asks for a letter. What cannot be read the deliverer puts aside."""
    try:
        ready = parse_ready(record.value)
        if ready["frame"] != ANNOUNCED or not _channels(ready) or _is_urgent(ready):
            return None
        # It becomes the name of a file.
        checked_uuid(ready["data"].get("id"), "id")
    except Poisoned:
        return None
    return ready if isinstance(ready["data"].get("version"), int) else None


def _is_urgent(ready: Mapping[str, Any]) -> bool:
    return bool(ready["data"].get("priority") == Priority.CRITICAL.value)


def _channels(ready: Mapping[str, Any]) -> list[str]:
    metadata = ready["data"].get("metadata")
    named = metadata.get("channels") if isinstance(metadata, dict) else None
    return [one for one in ("EMAIL", "SMS") if isinstance(named, list) and one in named]


def letter_of(data: Mapping[str, Any], sealed: object, address: str, seals: Seals) -> Letter:
    """Its id is the row's and the version's: the same for each copy of the frame. `sealed`: what
    only a letter says."""
    text = str(data.get("message"))
    if isinstance(sealed, str):
        try:
            text = seals.open(sealed)
        except Rejected as reason:
            log.error("A letter says only what its toast says: %s", reason)
    return Letter(
        id=f"{data.get('id')}-{data.get('version')}",
        to=address,
        kind=str(data.get("type")),
        title=str(data.get("title")),
        text=text,
    )
