"""Posts as pages show them: with what stands between the reader and each.

In    posts of stores/posts.py
Out   PostViews (blueprints/views.py) with isFollowing and isBookmarked
"""

from collections.abc import Sequence

from app.stores.bookmarks import Bookmarks
from app.stores.posts import Post
from blueprints import parts
from blueprints.views import Json
from blueprints.views import posts as views


def cards(found: Sequence[Post], reader_id: str) -> list[Json]:
    return with_ties(views(found, reader_id), reader_id)


def with_ties(shown: list[Json], reader_id: str) -> list[Json]:
    """Follows and bookmarks, in one question each for all."""
    authors = list({post["userId"] for post in shown})
    ties = parts().memberships.follows_of(reader_id, authors)
    kept = set(Bookmarks(parts().engine).among(reader_id, [post["id"] for post in shown]))
    return [
        post | {"isFollowing": ties[post["userId"]][1], "isBookmarked": post["id"] in kept}
        for post in shown
    ]
