"""STOP 8c. Courier: e-mails and text messages of critical kinds, by way of PostgreSQL alone.

In    table urgent_letters (stores/urgency.py wrote it in the ledger's transaction and rang NOTIFY)
Out   streams/letters.py

The postman leaves these alone. One courier at a time, by a lease. One that dies after sending sends
again, under the same id.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from app.domain.errors import Rejected, Unavailable
from app.seals import Seals
from app.stores.leases import Lease
from app.stores.urgent_letters import Due, UrgentLetters
from app.streams import dead_letters
from app.streams.dead_letters import DeadLetters
from app.streams.letters import Carries
from workers.postman import Addresses, letter_of

log = logging.getLogger(__name__)
BATCH = 100
ORIGIN = "urgent_letters"


@dataclass(frozen=True, slots=True)
class Scribe:
    """Who it goes to, and what only the letter says."""

    addresses: Addresses
    seals: Seals


class Courier:
    def __init__(
        self,
        letters: UrgentLetters,
        carriers: Mapping[str, Carries],
        scribe: Scribe,
        dead_letters: DeadLetters,
        lease: Lease,
    ) -> None:
        self._letters = letters
        self._carriers = carriers
        self._scribe = scribe
        self._dead_letters = dead_letters
        self._lease = lease

    def step(self) -> int:
        """A channel that is away keeps its letters, and stands in no other's way."""
        moved, away = 0, None
        for channel in self._carriers:
            try:
                moved += self._carry(channel)
            except Unavailable as fault:
                away = fault
        if away:
            raise away
        return moved

    def _carry(self, channel: str) -> int:
        due = self._letters.due(channel, BATCH) if self._lease.held() else []
        known = self._scribe.addresses([one.user_id for one in due]) if due else {}
        moved = 0
        for one in due:
            if not self._lease.held():
                break
            self._send(channel, one, known.get(one.user_id))
            self._letters.gone(one.place)  # last: a crash before this line repeats, never loses
            moved += 1
        return moved

    def _send(self, channel: str, due: Due, address: str | None) -> None:
        if due.data is None or address is None:
            return  # cleared, or nobody's any more
        try:
            self._carriers[channel].send(
                letter_of(due.data, due.letter, address, self._scribe.seals)
            )
        except Rejected as reason:
            # Without its text: it may hold a code.
            said = f"{channel}: {reason}"
            dead = dead_letters.Letter(ORIGIN, f"{due.place}", said, None)
            self._dead_letters.keep(dead)
            with suppress(Unavailable):  # Kafka may be away; the row is there
                self._dead_letters.put(dead)
