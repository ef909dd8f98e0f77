"""Shapes that several answers share (seed-notes 1: UserMini, PostView, CommentRow)."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.stores.comments import Comment
from app.stores.posts import Post
from app.stores.users import Account, Mini
from blueprints import parts

Json = dict[str, Any]


def mini(person: Mini) -> Json:
    return {
        "id": person.id,
        "username": person.username,
        "name": person.name,
        "avatarUrl": person.avatar_url,
    }


def account(found: Account) -> Json:
    """One's own account, e-mail address included."""
    return {
        "id": found.id,
        "email": found.email,
        "username": found.username,
        "name": found.name,
        "bio": found.bio,
        "avatarUrl": found.avatar_url,
        "createdAt": found.created_at,
    }


def posts(found: Sequence[Post], viewer_id: str | None) -> list[Json]:
    """PostViews with the counts a reader must see: from Redis where it knows them."""
    ids = [post.id for post in found]
    likes = parts().memberships.likes_of(viewer_id, ids)
    comments = parts().comments.counts(ids)
    return [_post(post, *likes[post.id], comments[post.id]) for post in found]


def _post(post: Post, likes: int, liked: bool, comments: int) -> Json:
    return {
        "id": post.id,
        "userId": post.user_id,
        "caption": post.caption,
        "imageUrl": post.image_url,
        "createdAt": post.created_at,
        "updatedAt": post.updated_at,
        "user": mini(post.author),
        "_count": {"likes": likes, "comments": comments},
        "likesCount": likes,
        "commentsCount": comments,
        "isLiked": liked,
    }


def comment(said: Comment, author: Mini) -> Json:
    return {
        "id": said.id,
        "postId": said.post_id,
        "userId": said.user_id,
        "content": said.content,
        "gifUrl": None,
        "parentId": said.parent_id,
        "createdAt": said.created_at,
        "updatedAt": said.created_at,
        "user": mini(author),
    }


def minis(people: Iterable[Mini]) -> list[Json]:
    return [mini(person) for person in people]
