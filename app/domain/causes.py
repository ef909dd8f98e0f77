"""One cause, one notification (rule 11 of pipeline.md).

A comment or post that names somebody who would be notified of it anyway is one event, not two. It
says so (`names_recipient`), and which of the two ways it takes is decided once, where it is
written (stores/ledger.py): only there the recipient's choices are known for certain.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.domain.events import COMMENT_KINDS, Event, Kind


def merge_mentions(events: Sequence[Event], mentions: Sequence[Event]) -> list[Event]:
    """The events, and the mentions of those whom none of the events tells."""
    named = {one.recipient_id for one in mentions}
    told = {one.recipient_id for one in events}
    return [
        *(replace(one, names_recipient=one.recipient_id in named) for one in events),
        *(one for one in mentions if one.recipient_id not in told),
    ]


def ways(event: Event) -> list[Event]:
    """The event as each kind that would notify its recipient, the most specific one first."""
    if not event.names_recipient:
        return [event]
    mention = as_mention(event)
    return [event, mention] if event.kind is Kind.COMMENT_REPLY else [mention, event]


def withdrawals(event: Event) -> list[Event]:
    """A withdrawn event as each kind by which it may have been announced."""
    return [event, as_mention(event)] if event.kind in COMMENT_KINDS else [event]


def as_mention(event: Event) -> Event:
    """The same event as the mention that its text is."""
    if event.kind not in COMMENT_KINDS:
        return replace(event, kind=Kind.MENTION)
    links = ("postUrl", "postId", "commentId")
    return replace(
        event,
        kind=Kind.MENTION,
        object_type="COMMENT",
        object_id=event.member,
        message=str(event.metadata["content"]),
        metadata={name: event.metadata[name] for name in links if name in event.metadata},
    )
