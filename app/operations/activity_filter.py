"""What the searches of the dashboard look for: events (event_search.py) and notifications
(notification_search.py).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.domain.events import Kind

MAX_COMMENTS_OF_POST = 1_000
"""The newest comments of a post whose replies are found with it."""


@dataclass(frozen=True, slots=True)
class ActivityFilter:
    """None: any."""

    person_id: str | None = None
    """The actor or the recipient."""
    post_id: str | None = None
    kind: Kind | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""

    def matches(
        self, trace_fields: Mapping[str, str], accepted_at: datetime, post_object_ids: Collection[str]
    ) -> bool:
        """Whether an event is found. `trace_fields`: its type, actor, recipient and object; without them only
        a filter by time finds it. `post_object_ids`: the post and its comments."""
        return (
            (self.since is None or accepted_at >= self.since)
            and (self.until is None or accepted_at < self.until)
            and (self.kind is None or trace_fields.get("type") == self.kind)
            and (self.post_id is None or trace_fields.get("object") in post_object_ids)
            and (
                self.person_id is None
                or self.person_id in (trace_fields.get("actor"), trace_fields.get("recipient"))
            )
        )


def list_object_ids_of_post(conn: Connection, post_id: str) -> list[str]:
    """The post and its newest comments: what events about the post may have as their object."""
    comment_ids = conn.execute(_NEWEST_COMMENTS, {"post": post_id, "limit": MAX_COMMENTS_OF_POST}).scalars()
    return [post_id, *comment_ids]


_NEWEST_COMMENTS = text(
    "select id::text from comments where post_id = :post order by created_at desc limit :limit"
)
