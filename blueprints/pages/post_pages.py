"""The feed, one post, the users who like it, and bookmarks: /, /posts/:id, /posts/:id/likes, /bookmarks.
Anonymous users see the front page at /.

The pages work without scripts; scripts update them live.
"""

from flask import Blueprint, render_template

from app.ingest.comments import Comment
from app.ingest.memberships import MembershipStore
from app.social.bookmarks import Bookmarks
from app.social.posts import PostReader
from app.social.users import UserSummary
from blueprints.api.bookmarks import bookmarked_posts_json
from blueprints.api.comments import CommentTrees
from blueprints.api.posts import Likers
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import HtmlPageQuery, encode_cursor, parse_page
from blueprints.http.serializers import PostSerializer
from blueprints.pages.page_session import PageSessions
from blueprints.pages.post_cards import PostCards
from blueprints.pages.profiles import add_follow_fields

MAX_REPLY_DEPTH = 6
"""Replies deeper than this are shown at this depth: a phone has no room for more."""


class LikersPageQuery(HtmlPageQuery):
    cursor_parsers = (parse_uuid,)


_LIKERS_QUERY = LikersPageQuery()


def blueprint(
    sessions: PageSessions,
    post_store: PostReader,
    bookmark_store: Bookmarks,
    comment_trees: CommentTrees,
    likers: Likers,
    memberships: MembershipStore,
    post_serializer: PostSerializer,
    post_cards: PostCards,
) -> Blueprint:
    routes = Blueprint("post_pages", __name__)

    @routes.get("/")
    def show_feed() -> str:
        """The feed; for anonymous users what this is, and how to get in."""
        viewer = sessions.current_user()
        if viewer is None:
            return render_template("front_page.html", return_path="/")
        posts = post_store.list_newest(None, parse_page(), viewer.id)
        return render_template(
            "feed.html",
            posts=post_cards.build(posts.items, viewer.id),
            next_cursor=encode_cursor(posts.next_key),
        )

    @routes.get("/posts/<post_id>")
    def show_post(post_id: str) -> str:
        viewer = sessions.require_user()
        post = post_store.get(parse_uuid(post_id), viewer.id)
        post_card = post_cards.build([post], viewer.id)[0]
        return render_template(
            "post.html", post=post_card, comment_rows=_flatten_comments(post.id, viewer.id)
        )

    def _flatten_comments(post_id: str, viewer_id: str) -> list[tuple[int, Comment, UserSummary]]:
        """The comment tree as a list with depths, so that the template need not recurse."""
        top_level, replies_by_parent, author_by_id = comment_trees.load(post_id, viewer_id)
        flattened: list[tuple[int, Comment, UserSummary]] = []
        stack = [(0, comment) for comment in reversed(top_level)]
        while stack:
            depth, comment = stack.pop()
            flattened.append((min(depth, MAX_REPLY_DEPTH), comment, author_by_id[comment.user_id]))
            stack += [(depth + 1, reply) for reply in reversed(replies_by_parent.get(comment.id, []))]
        return flattened

    @routes.get("/posts/<post_id>/likes")
    def show_likes(post_id: str) -> str:
        viewer = sessions.require_user()
        post = post_store.get(parse_uuid(post_id), viewer.id)
        users = likers.load(post.id, parse_page(_LIKERS_QUERY), viewer.id)
        return render_template(
            "post_likes.html",
            post=post_cards.build([post], viewer.id)[0],
            users=add_follow_fields(memberships, users.items, viewer.id),
            next_cursor=encode_cursor(users.next_key),
        )

    @routes.get("/bookmarks")
    def show_bookmarks() -> str:
        viewer = sessions.require_user()
        bookmarks = bookmark_store.list_newest(viewer.id, parse_page())
        posts = bookmarked_posts_json(post_store, post_serializer, bookmarks.items, viewer.id)
        return render_template(
            "bookmarks.html",
            posts=post_cards.add_flags(posts, viewer.id),
            next_cursor=encode_cursor(bookmarks.next_key),
        )

    return routes
