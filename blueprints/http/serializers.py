"""JSON objects that several responses share: users, posts and comments."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.ingest.comments import Comment
from app.ingest.membership_reader import MembershipReader, ObjectState, PostCounts
from app.social.posts import Post
from app.social.users import Account, UserSummary

JsonObject = dict[str, Any]


def user_summary_json(user: UserSummary) -> JsonObject:
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "avatarUrl": user.avatar_url,
    }


def account_json(user: Account) -> JsonObject:
    """A user's own account, with the e-mail address."""
    return {
        "id": user.id,
        "email": user.email,
        "username": user.username,
        "name": user.name,
        "bio": user.bio,
        "avatarUrl": user.avatar_url,
        "createdAt": user.created_at,
    }


class PostSerializer:
    def __init__(self, memberships: MembershipReader) -> None:
        self._memberships = memberships

    def posts_json(self, post_rows: Sequence[Post], viewer_id: str | None) -> list[JsonObject]:
        """Posts with their counts: from Redis where it has them, else from PostgreSQL."""
        stored = {
            post.id: ObjectState(post.is_liked, (post.like_count, post.comment_count)) for post in post_rows
        }
        counts_by_post = self._memberships.read_post_counts(viewer_id, list(stored), stored)
        return [_post_json(post, counts_by_post[post.id]) for post in post_rows]


def _post_json(post: Post, counts: PostCounts) -> JsonObject:
    return {
        "id": post.id,
        "userId": post.user_id,
        "caption": post.caption,
        "imageUrl": post.image_url,
        "createdAt": post.created_at,
        "updatedAt": post.updated_at,
        "user": user_summary_json(post.author),
        "_count": {"likes": counts.like_count, "comments": counts.comment_count},
        "likesCount": counts.like_count,
        "commentsCount": counts.comment_count,
        "isLiked": counts.is_liked,
    }


def comment_json(comment_row: Comment, author: UserSummary) -> JsonObject:
    return {
        "id": comment_row.id,
        "postId": comment_row.post_id,
        "userId": comment_row.user_id,
        "content": comment_row.content,
        "gifUrl": None,
        "parentId": comment_row.parent_id,
        "createdAt": comment_row.created_at,
        "updatedAt": comment_row.created_at,
        "user": user_summary_json(author),
    }


def user_summaries_json(users: Iterable[UserSummary]) -> list[JsonObject]:
    return [user_summary_json(user) for user in users]
