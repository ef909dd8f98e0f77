"""STOP 8c. Mailer: sends the outgoing messages, each by itself, several at a time.

In    table outgoing_messages (stores/outgoing.py); NOTIFY for critical ones
Out   streams/transports.py

Each channel has two queues, for critical and for ordinary messages, with places of their own: one
that hangs holds one place, and ordinary ones never take a place of a critical one. What ends is
settled by the loop, in one transaction for all that ended since the last step. A process that dies
between sending and settling leaves a claim; the message is then sent once more, with the same
Message-ID. Several mailers may run.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import gevent

from app import breakers
from app.domain.errors import Poisoned, Rejected, Unavailable
from app.domain.events import CRITICAL_KINDS, UNGROUPED_KINDS, Kind
from app.domain.mail import retry_delay
from app.domain.preferences import Channel, Send, decide
from app.failpoints import reach
from app.links import Links, path_of
from app.seals import Seals
from app.stores.figures import Note, Passing, unnoted
from app.stores.outgoing import (
    DELIVERED,
    EXPIRED,
    FAILED,
    PREFERENCE,
    WAITING,
    Claimed,
    OutgoingMessages,
    SendQueue,
    Settlement,
)
from app.streams.mail_message import Message
from app.streams.transports import EMAIL, SMS, Deferred, Transport

log = logging.getLogger(__name__)
AT_A_TIME, MOST_AT_A_TIME = 8, 20
"""Messages under way per queue and process. A message that takes long counts towards the second
figure only, so that some which hang leave room for others. Both queues together stay below the
connections that mail servers allow one client (Postfix: 50)."""
LONG_SECONDS = 1.0
SETTLE_BATCH = 200
AWAY_SECONDS = 1.0
CLOSE_SECONDS = 2.0
BREAKERS = {EMAIL: breakers.EMAIL, SMS: breakers.SMS}


@dataclass(frozen=True, slots=True)
class Hand:
    """Time and chance, handed in."""

    now: Callable[[], float]
    draw: Callable[[], float]


class Writer:
    """Makes the message of a claimed row, as its recipient reads it now. Raises Poisoned."""

    def __init__(self, seals: Seals, links: Links) -> None:
        self._seals = seals
        self._links = links

    def message(self, claimed: Claimed) -> Message:
        if claimed.poison:
            raise Poisoned(claimed.poison)
        frame = claimed.payload or {}
        message = Message(
            id=f"{claimed.notification_id}-{claimed.version}",
            to=claimed.address or "",
            kind=claimed.kind,
            title=str(frame.get("title")),
            text=self._text(frame, claimed.sealed),
            created_at=claimed.created_at,
        )
        if claimed.kind is Kind.PASSWORD_RESET:
            return replace(message, link=self._links.page("/password/reset"))
        if claimed.kind in CRITICAL_KINDS:
            return message
        return replace(
            message,
            link=None if claimed.kind in UNGROUPED_KINDS else self._links.page(path_of(frame)),
            unsubscribe=self._links.unsubscribe(claimed.user_id, claimed.kind),
        )

    def _text(self, frame: Mapping[str, object], sealed: str | None) -> str:
        if sealed is not None:
            try:
                return self._seals.open(sealed)
            except Rejected as reason:
                log.error("A message says only what its toast says: %s", reason)
        return str(frame.get("message"))


class Places:
    """The messages of one queue that are under way."""

    def __init__(self) -> None:
        self.taken: dict[gevent.Greenlet[[Claimed], None], float] = {}
        """Since when, by the process's own clock."""

    def free(self, breaker: str) -> int:
        """How many more may begin: none while the server is away, one to see whether it is back."""
        most = {breakers.CLOSED: MOST_AT_A_TIME, breakers.OPEN: 0}.get(breaker, 1)
        long = time.monotonic() - LONG_SECONDS
        young = sum(since > long for since in self.taken.values())
        return min(AT_A_TIME - young, most - len(self.taken))

    def take(self, attempt: Callable[[Claimed], None], message: Claimed) -> None:
        greenlet = gevent.spawn(attempt, message)
        self.taken[greenlet] = time.monotonic()
        greenlet.link(lambda one: self.taken.pop(one, None))


class Mailer:
    def __init__(
        self,
        messages: OutgoingMessages,
        transports: Mapping[str, Transport],
        writer: Writer,
        hand: Hand,
        note: Note = unnoted,
    ) -> None:
        self._messages = messages
        self._transports = transports
        self._writer = writer
        self._hand = hand
        self._note = note
        self._places = {
            SendQueue(channel, critical): Places()
            for critical in (True, False)
            for channel in transports
        }
        self._ended: list[Settlement] = []
        """Not settled yet: kept while PostgreSQL is away."""

    def step(self) -> int:
        """Settles what has ended and begins what is due; how many of both. Never waits for a
        server."""
        settled = self._settle()
        return settled + sum(self._begin(queue, places) for queue, places in self._places.items())

    def wait(self, seconds: float) -> bool:
        """Waits until one of those under way ends, at most so long. False: none is under way."""
        under_way = self._under_way()
        if under_way:
            gevent.wait(under_way, timeout=seconds, count=1)
        return bool(under_way)

    def close(self) -> None:
        """Gives those under way a moment to end; the claims of the others run out."""
        gevent.joinall(self._under_way(), timeout=CLOSE_SECONDS)
        with suppress(Unavailable):
            self._settle()

    def _under_way(self) -> "list[gevent.Greenlet[[Claimed], None]]":
        return [one for places in self._places.values() for one in places.taken]

    def _begin(self, queue: SendQueue, places: "Places") -> int:
        free = places.free(BREAKERS[queue.channel].state)
        if free <= 0:
            return 0
        claimed = self._messages.claim(queue, free, self._hand.now())
        for one in claimed:
            places.take(self._attempt, one)
        return len(claimed)

    def _attempt(self, message: Claimed) -> None:
        self._ended.append(self._useless(message) or self._sent(message))

    def _useless(self, message: Claimed) -> Settlement | None:
        """Why no attempt is made."""
        if message.payload is None or message.address is None:
            return Settlement(message, EXPIRED, message.attempts)
        now = datetime.fromtimestamp(self._hand.now(), UTC)
        chosen = decide(message.kind, replace(message.preferences, quiet=False), now)
        if not isinstance(chosen, Send) or Channel(message.channel) not in chosen.channels:
            return Settlement(message, PREFERENCE, message.attempts)
        if now >= message.expires_at:
            why = message.last_error or "an earlier message to the same recipient was in the way"
            said = f"not sent in time, after {message.attempts} attempts: {why}"
            return Settlement(message, FAILED, message.attempts, said)
        return None

    def _sent(self, message: Claimed) -> Settlement:
        attempts = message.attempts + 1
        try:
            written = self._writer.message(message)
        except Exception as fault:  # no later attempt would make it better
            said = f"cannot be written: {type(fault).__name__}"
            return Settlement(message, FAILED, attempts, said)
        try:
            self._transports[message.channel].send(written)
            reach("mailer.sent")
        except (Rejected, Poisoned) as reason:
            return Settlement(message, FAILED, attempts, str(reason))
        except Deferred as reason:
            return self._later(message, attempts, str(reason))
        except Unavailable as fault:
            # The fault of no message: it is as good as untried, and the breaker spares the others.
            due_at = self._after(AWAY_SECONDS)
            return Settlement(message, WAITING, message.attempts, str(fault), due_at)
        except Exception as fault:
            log.exception("An attempt failed by an error that is not known")
            return self._later(message, attempts, type(fault).__name__)
        return Settlement(message, DELIVERED, attempts)

    def _later(self, message: Claimed, attempts: int, reason: str) -> Settlement:
        due_at = min(self._after(retry_delay(attempts, self._hand.draw())), message.expires_at)
        return Settlement(message, WAITING, attempts, reason, due_at)

    def _after(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._hand.now(), UTC) + timedelta(seconds=seconds)

    def _settle(self) -> int:
        batch = self._ended[:SETTLE_BATCH]
        if not batch:
            return 0
        done = set(self._messages.settle(batch, self._hand.now()))
        del self._ended[: len(batch)]
        settled = [one for one in batch if one.message.id in done]
        for one in settled:
            _log(one)
        outcomes = [one.status for one in settled if one.status != WAITING]
        if outcomes:
            self._note(Passing("mail", {name: outcomes.count(name) for name in set(outcomes)}))
        return len(batch)


def _log(one: Settlement) -> None:
    message = one.message
    name = f"{message.channel} {message.notification_id}-{message.version}"
    if one.status == FAILED:
        log.warning("%s failed for good: %s", name, one.error)
    elif one.status == WAITING and one.attempts > message.attempts:
        log.info("%s is deferred until %s: %s", name, one.due_at, one.error)
