"""Urgency: critical frames are told by NOTIFY as well, in the ledger's own transaction.

In    stores/frames.py, with the frames it puts into the outbox
Out   channel "critical": whose frame, and its number; never its text
Next  app/crier.py in each web process, which hears it without Redis and without Kafka
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.domain.events import Event, Priority, iso, occurred_at
from app.domain.ledger import Frame
from app.domain.preferences import Preferences, Send, decide
from app.domain.secrecy import letter_of, with_code
from app.domain.wording import notice, title

CRITICAL_CHANNEL = "critical"


@dataclass(frozen=True, slots=True)
class Urgent:
    """A critical frame on its way to one person. `seq` is None for a provisional one."""

    user_id: str
    seq: int | None
    data: dict[str, object]
    event: str = Frame.ANNOUNCED.value

    @property
    def rings(self) -> bool:
        """Whether it goes by e-mail and text message as well."""
        return self.event == Frame.ANNOUNCED.value


def ring(sql: Connection, frames: Sequence[Urgent]) -> None:
    """Heard by every web process and by the mailer as the transaction commits, and not at all if
    it does not."""
    if frames:
        users, seqs = [one.user_id for one in frames], [one.seq for one in frames]
        sql.execute(_RING, {"channel": CRITICAL_CHANNEL, "users": users, "seqs": seqs})


def provisional(event: Event) -> Urgent:
    """What its frame will say when the ledger can be written: the same id and version, no number
    yet."""
    decision = decide(event.kind, Preferences(), occurred_at(event.seq))
    channels = decision.channels if isinstance(decision, Send) else ()
    words = {
        "title": event.title or title(event.kind, 1),
        "message": event.message or notice(event.kind),
    }
    data: dict[str, object] = {
        "id": event.event_id,
        "type": event.kind.value,
        "priority": Priority.CRITICAL.value,
        **words,
        "actorId": None,
        "actorName": None,
        "actorAvatar": None,
        "imageUrl": event.image_url,
        "targetType": event.object_type,
        "targetId": event.object_id,
        "timestamp": iso(occurred_at(event.seq)),
        "isRead": False,
        "seenAt": None,
        "version": 1,
        "generation": 1,
        "actors": [],
        "group": words,
        "metadata": {
            "isAggregated": False,
            "aggregatedCount": 0,
            "newCount": 1,
            "aggregatedActors": [],
            "channels": [channel.value for channel in channels],
        },
    }
    return Urgent(event.recipient_id, None, with_code(data, letter_of(event.metadata)))


_RING = text("""
    select pg_notify(:channel, who || ' ' || seq)
    from unnest(cast(:users as uuid[]), cast(:seqs as bigint[])) as told (who, seq)
""")
