"""Pages about users: /users/:username, /users/:username/followers, /following and /search."""

from flask import Blueprint, render_template

from app.ingest.memberships import MembershipStore
from app.social.follows import FollowDirection, Follows
from app.social.mutes import MutesAndBlocks
from app.social.posts import PostReader
from app.social.users import Users
from blueprints.api.follows import load_follows
from blueprints.api.users import UserDirectory, parse_search_text
from blueprints.http.pagination import HtmlPageQuery, encode_cursor, parse_page, value_of
from blueprints.http.serializers import JsonObject, user_summaries_json
from blueprints.pages.page_session import PageSessions
from blueprints.pages.post_cards import PostCards

MAX_SUGGESTED_USERS = 12


class SearchPageQuery(HtmlPageQuery):
    cursor_parsers = (value_of(int),)


_SEARCH_PAGE_QUERY = SearchPageQuery()


def add_follow_fields(
    memberships: MembershipStore, users: list[JsonObject], viewer_id: str
) -> list[JsonObject]:
    """Adds `followersCount` and `isFollowing`."""
    follow_by_user_id = memberships.get_follower_counts_and_states(viewer_id, [user["id"] for user in users])
    return [
        user
        | {
            "followersCount": follow_by_user_id[user["id"]][0],
            "isFollowing": follow_by_user_id[user["id"]][1],
        }
        for user in users
    ]


def blueprint(
    sessions: PageSessions,
    user_store: Users,
    post_store: PostReader,
    mute_store: MutesAndBlocks,
    user_directory: UserDirectory,
    memberships: MembershipStore,
    follow_store: Follows,
    post_cards: PostCards,
) -> Blueprint:
    routes = Blueprint("profiles", __name__)

    @routes.get("/users/<username>")
    def show_profile(username: str) -> str:
        viewer = sessions.require_user()
        user_id = user_store.get_id_by_username(username)
        profile_fields = user_directory.profile_json(user_id, viewer.id)
        posts = post_store.list_newest(user_id, parse_page(), viewer.id)
        return render_template(
            "profile.html",
            profile=profile_fields | {"isMuted": mute_store.has_muted_user(viewer.id, user_id)},
            posts=post_cards.build(posts.items, viewer.id),
            next_cursor=encode_cursor(posts.next_key),
        )

    @routes.get("/users/<username>/followers")
    def show_followers(username: str) -> str:
        return _show_follows(username, "followers")

    @routes.get("/users/<username>/following")
    def show_following(username: str) -> str:
        return _show_follows(username, "following")

    def _show_follows(username: str, direction: FollowDirection) -> str:
        viewer = sessions.require_user()
        user_id = user_store.get_id_by_username(username)
        profile_fields = user_directory.profile_json(user_id, viewer.id)
        follows = load_follows(memberships, follow_store, direction, user_id, parse_page(), viewer.id)
        users = user_summaries_json(follow.user for follow in follows.items)
        return render_template(
            "follow_list.html",
            direction=direction,
            profile=profile_fields,
            users=add_follow_fields(memberships, users, viewer.id),
            next_cursor=encode_cursor(follows.next_key),
        )

    @routes.get("/search")
    def search_users() -> str:
        """Without a search text: the newest users."""
        viewer = sessions.require_user()
        search_text = parse_search_text()
        if not search_text:
            newest = user_summaries_json(user_store.list_newest(MAX_SUGGESTED_USERS, viewer.id))
            users = add_follow_fields(memberships, newest, viewer.id)
            return render_template("search.html", query="", users=users, next_cursor=None)
        matches = user_directory.find(search_text, parse_page(_SEARCH_PAGE_QUERY), viewer.id)
        users = add_follow_fields(memberships, user_summaries_json(matches.items), viewer.id)
        next_cursor = encode_cursor(matches.next_key)
        return render_template("search.html", query=search_text, users=users, next_cursor=next_cursor)

    return routes
