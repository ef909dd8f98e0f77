"""Posts as pages show them: the JSON of the API with `isFollowing` and `isBookmarked`."""

from collections.abc import Sequence

from app.ingest.memberships import MembershipStore
from app.social.bookmarks import Bookmarks
from app.social.posts import Post
from blueprints.http.serializers import JsonObject, PostSerializer


class PostCards:
    def __init__(
        self, post_serializer: PostSerializer, memberships: MembershipStore, bookmark_store: Bookmarks
    ) -> None:
        self._post_serializer = post_serializer
        self._memberships = memberships
        self._bookmark_store = bookmark_store

    def build(self, posts: Sequence[Post], viewer_id: str) -> list[JsonObject]:
        return self.add_flags(self._post_serializer.posts_json(posts, viewer_id), viewer_id)

    def add_flags(self, posts: list[JsonObject], viewer_id: str) -> list[JsonObject]:
        """Adds `isFollowing` and `isBookmarked`, with one query each for all posts."""
        author_ids = list({post["userId"] for post in posts})
        follow_by_author_id = self._memberships.get_follower_counts_and_states(viewer_id, author_ids)
        bookmarked_ids = set(
            self._bookmark_store.filter_bookmarked(viewer_id, [post["id"] for post in posts])
        )
        return [
            post
            | {
                "isFollowing": follow_by_author_id[post["userId"]][1],
                "isBookmarked": post["id"] in bookmarked_ids,
            }
            for post in posts
        ]
