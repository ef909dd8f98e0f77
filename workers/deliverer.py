"""STOP 8. Deliverer: from the ready topic to the person's sockets; a second loop keeps the log.

In    topic ready-notifications, groups "delivery-consumer" and "delivery-log-consumer"
Out   streams/push.py (room of the person), stores/delivery_log.py
Next  jinja/static/bell.js

The topic carries no names: they are looked up as a frame goes out (stores/serializer.py), so that
one that waited shows what people are called now.

The log reads the topic by itself, so a DynamoDB that is away delays no toast, and Kafka keeps what
the log has yet to write.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson

from app.domain.errors import Poisoned, Unavailable
from app.domain.events import Kind, Priority, checked_uuid
from app.domain.preferences import Channel
from app.domain.secrecy import with_code
from app.failpoints import reach
from app.stores.delivery_log import DeliveryLog, item
from app.stores.endings import ENDED
from app.stores.figures import Note, Passing, unnoted
from app.stores.seen import SEEN
from app.stores.serializer import Json, check_names, names_people
from app.streams.dead_letters import DeadLetters, Letter
from app.streams.kafka import Polled, Subscriber
from app.streams.push import Push, room_of

log = logging.getLogger(__name__)
BATCH = 500
POLL_SECONDS = 0.5
BADGE = "unread_count"
LOG_ONLY = frozenset({SEEN, ENDED})
"""What no socket hears of."""
FRAMES = LOG_ONLY | {"notification", "notification_updated", "notification_removed", BADGE}
_OUTSIDE = {"id": int, "targetId": str, "at": str, "data": dict}
_INSIDE = {"id": str, "type": str, "priority": str, "version": int, "metadata": dict}
_ENDING = {"id": str, "status": str, "at": str, "count": int}
MAX_ID = 64
Present = Callable[[Sequence[Json]], list[Json]]
"""Puts current names into frames. Raises Unavailable."""


class Deliverer:
    def __init__(
        self,
        subscriber: Subscriber,
        push: Push,
        present: Present,
        dead_letters: DeadLetters,
        cleared: Callable[[], int] = lambda: 0,
        note: Note = unnoted,
    ) -> None:
        self._note = note
        self._subscriber = subscriber
        self._cleared = cleared
        self._push = push
        self._present = present
        self._dead_letters = dead_letters
        self._waiting: list[Polled] = []

    def step(self) -> int:
        if not self._waiting:
            self._waiting = self._subscriber.poll(POLL_SECONDS, BATCH)
        if not self._waiting:
            return 0
        reach("deliverer.polled")
        ready = [self._parse(one) for one in self._waiting]
        # What was told of rows that an administrator cleared since is nobody's news any more.
        fence = self._cleared()
        frames = [one for one in ready if one is not None and one["id"] > fence]
        logged = [one for one in frames if one["frame"] in LOG_ONLY]
        frames = [one for one in frames if one["frame"] not in LOG_ONLY]
        last_badge = {one["targetId"]: one["id"] for one in frames if one["frame"] == BADGE}
        # Of several badges only the newest is worth a frame.
        worth = [o for o in frames if o["frame"] != BADGE or last_badge[o["targetId"]] == o["id"]]
        self._emit(worth)
        reach("deliverer.emitted")
        self._subscriber.commit(positions(self._waiting))
        emitted = [one for one in frames if one["frame"] != BADGE]
        badges = len(last_badge)
        self._note(
            Passing(
                "deliverer",
                outcomes={
                    "delivered": len(emitted) + badges,
                    "merged": len(frames) - len(emitted) - badges,
                    "self": len(logged),
                    "expired": len(ready) - ready.count(None) - len(logged) - len(frames),
                    "failed": ready.count(None),
                },
                places=counted(self._waiting),
                step="emitted",
                events={f"frame-{one['id']}": one["frame"] for one in emitted},
            )
        )
        moved, self._waiting = len(self._waiting), []
        return moved

    def _emit(self, frames: list[dict[str, Any]]) -> None:
        """All of them, or none is acknowledged: they are told when Redis and the names are back."""
        try:
            for one in self._with_names(frames):
                data = with_code(one["data"], one.get("letter"))
                self._push.emit(one["frame"], data, room_of(one["targetId"]))
        except Unavailable:
            # Read again rather than kept in hand: who does not poll for a minute is sent away.
            self._waiting = []
            self._subscriber.rewind()
            raise

    def _with_names(self, frames: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """One look-up for all. When it fails, those that name nobody (codes, alerts) still go."""
        try:
            shown = self._present([one["data"] for one in frames])
        except Unavailable:
            nameless = [one for one in frames if not names_people(one["data"])]
            shown = self._present([one["data"] for one in nameless])
            yield from _with_data(nameless, shown)
            raise
        yield from _with_data(frames, shown)

    def _parse(self, record: Polled) -> dict[str, Any] | None:
        try:
            return parse_ready(record.value)
        except Poisoned as reason:
            place = f"{record.partition}:{record.offset}"
            self._dead_letters.put(Letter(record.topic, place, str(reason), record.value))
            return None


class Recorder:
    """Writes the delivery log. What it cannot read, the deliverer puts aside."""

    def __init__(
        self,
        subscriber: Subscriber,
        delivery_log: DeliveryLog,
        now: Callable[[], float],
        note: Note = unnoted,
    ) -> None:
        self._note = note
        self._subscriber = subscriber
        self._log = delivery_log
        self._now = now
        self._waiting: list[Polled] = []

    def step(self) -> int:
        if not self._waiting:
            self._waiting = self._subscriber.poll(POLL_SECONDS, BATCH)
        items, failed, badges = {}, 0, 0
        for one in self._waiting:
            try:
                ready = parse_ready(one.value)
            except Poisoned:
                failed += 1
                continue
            if ready["frame"] == BADGE:
                badges += 1  # says nothing of any one notification
            else:
                made = item(ready, self._now())
                items[made["id"]["S"]] = made  # a batch may name a key once
        self._log.record(list(items.values()))
        reach("recorder.recorded")
        if self._waiting:
            self._subscriber.commit(positions(self._waiting))
            recorded = len(self._waiting) - failed - badges
            outcomes = {"delivered": recorded, "merged": badges, "failed": failed}
            places = counted(self._waiting)
            self._note(Passing("recorder", outcomes=outcomes, places=places))
        moved, self._waiting = len(self._waiting), []
        return moved


def parse_ready(value: bytes | None) -> dict[str, Any]:
    """A ready record, fit for the sockets and for the log. Raises Poisoned for anything else."""
    if value is None:
        raise Poisoned("the record has no value")
    try:
        ready = orjson.loads(value)
    except orjson.JSONDecodeError as fault:
        raise Poisoned("not JSON") from fault
    if not isinstance(ready, dict) or ready.get("frame") not in FRAMES:
        raise Poisoned("not a frame we know")
    _check(ready, _OUTSIDE, needed=True)
    checked_uuid(ready["targetId"], "targetId")
    _check(ready, {"seq": int, "letter": str}, needed=False)
    _check_data(ready["data"])
    if ready["frame"] == ENDED:
        _check(ready["data"], _ENDING, needed=True)
    try:
        datetime.fromisoformat(ready["at"])
    except ValueError as fault:
        raise Poisoned("the frame has no time") from fault
    return ready


def _with_data(frames: list[dict[str, Any]], shown: list[Json]) -> Iterator[dict[str, Any]]:
    for one, data in zip(frames, shown, strict=True):
        yield one | {"data": data}


def _check(of: dict[str, Any], fields: dict[str, type], needed: bool) -> None:
    for name, kind in fields.items():
        value = of.get(name)
        # type() and not isinstance(): true is no number here.
        if type(value) is not kind and (needed or value is not None):
            raise Poisoned(f"{name} is no {kind.__name__}")


def _check_data(data: dict[str, Any]) -> None:
    _check(data, _INSIDE, needed=False)
    if len(data.get("id") or "") > MAX_ID:
        raise Poisoned("id is too long")
    if data.get("type", Kind.LIKE) not in set(Kind):
        raise Poisoned("type is none that we know")
    if data.get("priority", Priority.LOW) not in set(Priority):
        raise Poisoned("priority is none that we know")
    check_names(data)
    channels = (data.get("metadata") or {}).get("channels", [])
    if not isinstance(channels, list) or not set(map(str, channels)) <= set(Channel):
        raise Poisoned("channels are none that we know")


def positions(records: list[Polled]) -> dict[tuple[str, int], int]:
    """The next offset to read, per partition."""
    return {(one.topic, one.partition): one.offset + 1 for one in records}


def counted(records: list[Polled]) -> dict[str, tuple[int, int]]:
    """The last offset read and how many, per partition."""
    found: dict[str, tuple[int, int]] = {}
    for one in records:
        last, count = found.get(one.place, (-1, 0))
        found[one.place] = (max(last, one.offset), count + 1)
    return found
