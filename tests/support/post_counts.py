"""The counts of one post as readers see them."""

import redis
from sqlalchemy import Engine

from app.ingest.membership_reader import MembershipReader, ObjectState


def read_likes(memberships: MembershipReader, viewer_id: str | None, post_id: str) -> tuple[int, bool]:
    """The number of likes, and whether the viewer's is among them."""
    counts = memberships.read_post_counts(viewer_id, [post_id])[post_id]
    return counts.like_count, counts.is_liked


def count_comments(memberships: MembershipReader, post_id: str) -> int:
    return memberships.read_post_counts(None, [post_id])[post_id].comment_count


def count_comments_in_redis(connection: redis.Redis, unreachable_engine: Engine, post_id: str) -> int:
    """Of a post whose comment count is cached; its likes need not be."""
    reader = MembershipReader(connection, unreachable_engine, None)
    counts = reader.read_post_counts(None, [post_id], {post_id: ObjectState(None, (0, 0))})
    return counts[post_id].comment_count
