"""Conversion of ingress entries into Kafka records, for the bridge."""

from collections.abc import Sequence

from app.clients.gevent_setup import iterate_cooperatively
from app.domain.errors import Poisoned
from app.domain.event_codec import event_from_stream_fields
from app.domain.events import seq_from_stream_id
from app.ingest.ingress import IngressEntry
from app.messaging.dead_letters import DeadLetter, DeadLetterQueue
from app.messaging.json_codec import dump_json
from app.messaging.publisher import event_to_record
from app.messaging.records import ProducerRecord

QueuedEvent = tuple[str, int, ProducerRecord]
"""Event id, seq and record."""


def convert_entries_to_records(
    shard: int, entries: Sequence[IngressEntry], dead_letters: DeadLetterQueue
) -> list[QueuedEvent]:
    """An unreadable entry becomes a record of the dead-letter topic and blocks no other entry."""
    events: list[QueuedEvent] = []
    for entry in iterate_cooperatively(entries):
        try:
            if entry.fields is None:
                raise Poisoned("the entry was deleted while it was pending")
            event = event_from_stream_fields(entry.stream_id, entry.fields)
            events.append((event.event_id, event.seq, event_to_record(event)))
        except Poisoned as exc:
            payload = None if entry.fields is None else dump_json(entry.fields)
            dead_letter = DeadLetter(f"ingress:{shard}", entry.stream_id, str(exc), payload)
            dead_letters.store_row(dead_letter)
            events.append((dead_letter.id, seq_from_stream_id(entry.stream_id), dead_letter.to_record()))
    return events
