"""Builds the events of posts, comments and mentions.

In: an actor, a recipient and the post or comment. Out: an `Event` for the ingress.
"""

from dataclasses import dataclass

from app.domain.events import Event, Kind
from app.ingest.comments import Comment


@dataclass(frozen=True, slots=True)
class EventObject:
    """The post or comment that an event is about, the post it belongs to, and its text."""

    object_type: str
    object_id: str
    post_id: str
    text: str | None = None
    image_url: str | None = None


def post_object(post_id: str, caption: str | None = None, image_url: str | None = None) -> EventObject:
    return EventObject("POST", post_id, post_id, caption, image_url)


def comment_object(comment: Comment) -> EventObject:
    return EventObject("COMMENT", comment.id, comment.post_id, comment.content)


def build_object_event(
    event_id: str,
    kind: Kind,
    actor_id: str,
    recipient_id: str,
    event_object: EventObject,
    traceparent: str | None,
) -> Event:
    """An event about a post or comment: a new post, a share, a mention."""
    comment_metadata = {"commentId": event_object.object_id} if event_object.object_type == "COMMENT" else {}
    return Event(
        event_id=event_id,
        kind=kind,
        recipient_id=recipient_id,
        actor_id=actor_id,
        object_type=event_object.object_type,
        object_id=event_object.object_id,
        message=event_object.text,
        image_url=event_object.image_url,
        traceparent=traceparent,
        metadata={
            "postUrl": f"/posts/{event_object.post_id}",
            "postId": event_object.post_id,
            **comment_metadata,
        },
    )


def build_comment_event(event_id: str, comment: Comment, recipient_id: str, traceparent: str | None) -> Event:
    """The event of a comment, addressed to the owner of the post; of a reply, to the parent's author."""
    is_reply = comment.parent_id is not None
    return Event(
        event_id=event_id,
        kind=Kind.COMMENT_REPLY if is_reply else Kind.COMMENT,
        recipient_id=recipient_id,
        actor_id=comment.user_id,
        object_type="COMMENT" if is_reply else "POST",
        object_id=comment.parent_id or comment.post_id,
        traceparent=traceparent,
        metadata={
            "commentId": comment.id,
            "postId": comment.post_id,
            "parentId": comment.parent_id,
            "content": comment.content,
            "postUrl": f"/posts/{comment.post_id}",
        },
    )
