"""JSON objects that several responses share: users, posts and comments."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.ingest.comments import Comment, Comments
from app.ingest.memberships import MembershipStore
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
    def __init__(self, memberships: MembershipStore, comment_store: Comments) -> None:
        self._memberships = memberships
        self._comment_store = comment_store

    def posts_json(self, post_rows: Sequence[Post], viewer_id: str | None) -> list[JsonObject]:
        """Posts with their counts: from Redis where it has them, else from PostgreSQL."""
        post_ids = [post.id for post in post_rows]
        likes_by_post = self._memberships.get_like_counts_and_states(viewer_id, post_ids)
        comment_counts = self._comment_store.count_by_post(post_ids)
        return [_post_json(post, *likes_by_post[post.id], comment_counts[post.id]) for post in post_rows]


def _post_json(post: Post, likes_count: int, is_liked: bool, comments_count: int) -> JsonObject:
    return {
        "id": post.id,
        "userId": post.user_id,
        "caption": post.caption,
        "imageUrl": post.image_url,
        "createdAt": post.created_at,
        "updatedAt": post.updated_at,
        "user": user_summary_json(post.author),
        "_count": {"likes": likes_count, "comments": comments_count},
        "likesCount": likes_count,
        "commentsCount": comments_count,
        "isLiked": is_liked,
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
