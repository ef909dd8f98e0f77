"""One cause, one notification (docs/aggregation-rules.md): events and mentions in, events without duplicates
out.

A comment or post that mentions a user who is notified of it anyway is one event with `mentions_recipient`,
not two. app/persistence/event_writer.py decides as which kind it is announced, because only there the
recipient's preferences are known.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.domain.events import COMMENT_KINDS, Event, Kind


def merge_mentions_into_events(events: Sequence[Event], mentions: Sequence[Event]) -> list[Event]:
    """The events, and the mentions of users who are not the recipient of any event."""
    mentioned_ids = {event.recipient_id for event in mentions}
    event_recipient_ids = {event.recipient_id for event in events}
    return [
        *(replace(event, mentions_recipient=event.recipient_id in mentioned_ids) for event in events),
        *(mention for mention in mentions if mention.recipient_id not in event_recipient_ids),
    ]


def event_variants_to_announce(event: Event) -> list[Event]:
    """The event as each kind that could notify its recipient, the most specific first."""
    if not event.mentions_recipient:
        return [event]
    mention = to_mention_event(event)
    return [event, mention] if event.kind is Kind.COMMENT_REPLY else [mention, event]


def event_variants_to_retract(event: Event) -> list[Event]:
    """A retracted event as each kind under which it may have been announced."""
    return [event, to_mention_event(event)] if event.kind in COMMENT_KINDS else [event]


def to_mention_event(event: Event) -> Event:
    """The same event as a mention of its recipient."""
    if event.kind not in COMMENT_KINDS:
        return replace(event, kind=Kind.MENTION)
    link_fields = ("postUrl", "postId", "commentId")
    return replace(
        event,
        kind=Kind.MENTION,
        object_type="COMMENT",
        object_id=event.window_entry_key,
        message=str(event.metadata["content"]),
        metadata={name: event.metadata[name] for name in link_fields if name in event.metadata},
    )
