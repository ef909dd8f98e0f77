"""The columns that queries are built of with SQLAlchemy Core.

migrations/versions/ declares the tables; a test compares the columns. What is named in SQL texts only is not
here.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()
_ID, _TIME = UUID(as_uuid=False), DateTime(timezone=True)


def _table(name: str, /, **type_by_column: Any) -> Table:
    return Table(name, metadata, *(Column(column, type_) for column, type_ in type_by_column.items()))


users = _table("users", id=_ID, username=String(60), name=String(120), avatar_url=Text)
comments = _table(
    "comments", id=_ID, post_id=_ID, user_id=_ID, content=Text, active=Boolean, created_at=_TIME
)
likes = _table("likes", post_id=_ID, user_id=_ID, active=Boolean, created_at=_TIME)
follows = _table("follows", follower_id=_ID, following_id=_ID, active=Boolean, created_at=_TIME)
bookmarks = _table("bookmarks", user_id=_ID, post_id=_ID, created_at=_TIME)
mutes = _table("mutes", id=_ID, user_id=_ID, muted_user_id=_ID, muted_post_id=_ID, created_at=_TIME)
blocks = _table("blocks", user_id=_ID, blocked_user_id=_ID, created_at=_TIME)
notifications = _table(
    "notifications",
    id=_ID,
    user_id=_ID,
    type=String(20),
    priority=String(10),
    object_id=_ID,
    generation=Integer,
    version=Integer,
    client_seq=BigInteger,
    target_type=String(20),
    target_id=_ID,
    actor_id=_ID,
    actor_count=Integer,
    unannounced_count=Integer,
    title=Text,
    message=Text,
    quote=Text,
    image_url=Text,
    channels=ARRAY(Text),
    metadata=JSONB,
    is_read=Boolean,
    read_at=_TIME,
    seen_at=_TIME,
    archived_at=_TIME,
    removed_at=_TIME,
    is_visible=Boolean,
    deferred_until=_TIME,
    snoozed_until=_TIME,
    created_at=_TIME,
    updated_at=_TIME,
)
notification_actors = _table("notification_actors", notification_id=_ID, actor_id=_ID, active=Boolean)
outgoing_messages = _table(
    "outgoing_messages",
    id=BigInteger,
    user_id=_ID,
    channel=String(10),
    type=String(20),
    critical=Boolean,
    status=String(20),
    attempts=Integer,
    last_error=Text,
    due_at=_TIME,
    created_at=_TIME,
    ended_at=_TIME,
)
