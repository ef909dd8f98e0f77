"""Conversion of ingress entries into Kafka records, for the bridge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from app.clients.gevent_setup import iterate_cooperatively
from app.domain.errors import Poisoned
from app.domain.event_codec import event_from_stream_fields
from app.domain.events import Event, seq_from_stream_id
from app.domain.routing import needs_follower_lookup
from app.ingest.ingress import IngressEntry
from app.messaging.dead_letters import DeadLetter, DeadLetterQueue
from app.messaging.json_codec import dump_json
from app.messaging.publisher import event_to_record
from app.messaging.records import ProducerRecord
from app.persistence.followers import Follow

QueuedEvent = tuple[str, int, ProducerRecord]
"""Event id, seq and record."""
FindFollows = Callable[[Sequence[Follow]], set[Follow]]
"""Those of the given pairs (follower, followed user) that exist."""


def convert_entries_to_records(
    batches: Mapping[int, Sequence[IngressEntry]],
    dead_letters: DeadLetterQueue,
    find_follows: FindFollows,
) -> dict[int, list[QueuedEvent]]:
    """By shard. An unreadable entry becomes a record of the dead-letter topic and blocks no other entry."""
    parsed = {
        shard: [_parse_entry(shard, entry) for entry in iterate_cooperatively(entries)]
        for shard, entries in batches.items()
    }
    follows = _find_follows_of_events(
        (event for events in parsed.values() for event in events if isinstance(event, Event)), find_follows
    )
    return {
        shard: [_to_queued_event(item, follows, dead_letters) for item in iterate_cooperatively(items)]
        for shard, items in parsed.items()
    }


def trace_details_by_event(entries: Sequence[IngressEntry], events: Sequence[QueuedEvent]) -> dict[str, str]:
    """Trace details by event id: the seq, and the actor, who may see the trace."""
    actor_by_event_id = {
        entry.fields.get("eventId"): entry.fields.get("actorId") for entry in entries if entry.fields
    }
    return {event_id: f"{seq} {actor_by_event_id.get(event_id) or '-'}" for event_id, seq, _ in events}


def _parse_entry(shard: int, entry: IngressEntry) -> Event | DeadLetter:
    try:
        if entry.fields is None:
            raise Poisoned("the entry was deleted while it was pending")
        return event_from_stream_fields(entry.stream_id, entry.fields)
    except Poisoned as exc:
        payload = None if entry.fields is None else dump_json(entry.fields)
        return DeadLetter(f"ingress:{shard}", entry.stream_id, str(exc), payload)


def _find_follows_of_events(events: Iterable[Event], find_follows: FindFollows) -> set[Follow]:
    follows = {_follow_of(event) for event in events if needs_follower_lookup(event)}
    return find_follows(sorted(follows)) if follows else set()


def _follow_of(event: Event) -> Follow:
    return str(event.actor_id), event.recipient_id


def _to_queued_event(
    item: Event | DeadLetter, follows: set[Follow], dead_letters: DeadLetterQueue
) -> QueuedEvent:
    if isinstance(item, DeadLetter):
        dead_letters.store_row(item)
        return item.record_id, seq_from_stream_id(item.source_position), item.to_record()
    event = item
    if needs_follower_lookup(event) and _follow_of(event) in follows:
        event = replace(event, is_follower=True)
    return event.event_id, event.seq, event_to_record(event)
