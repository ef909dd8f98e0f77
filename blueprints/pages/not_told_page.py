"""GET /notifications/not-told: what the user was not told and why, of everybody or of one person or post."""

from flask import Blueprint, render_template, request

from app.domain.errors import Rejected
from app.domain.events import ACTORLESS_KINDS, Kind
from app.domain.messages import action_text, group_notification_text
from app.persistence.pages import PageRequest
from app.social.posts import PostReader
from app.social.suppressed_events import SuppressedFilter
from app.social.users import Users
from blueprints.api.suppressed import MAX_POSTS_WITH_WINDOWS, SuppressedEventViews, SuppressedPageQuery
from blueprints.http.ids import is_uuid
from blueprints.http.pagination import parse_page
from blueprints.http.serializers import JsonObject
from blueprints.pages.page_session import PageSessions

MAX_POST_CHOICES = 50
_QUERY = SuppressedPageQuery()
UNKNOWN_PERSON = "Nobody has this user name."
ACTORLESS_TEXT = "A message of Chime"


def _entry_text(entry: JsonObject) -> str:
    """Such as `Ben and 2 others liked your post`."""
    kind = Kind(entry["type"])
    if kind in ACTORLESS_KINDS:  # an event of a server may name an actor all the same
        return ACTORLESS_TEXT
    if not entry["people"]:
        return f"Someone {action_text(kind)}"
    first = entry["people"][0]
    return group_notification_text(kind, first["name"] or first["username"], entry["count"] - 1)


def blueprint(
    sessions: PageSessions, user_store: Users, post_store: PostReader, views: SuppressedEventViews
) -> Blueprint:
    routes = Blueprint("not_told_page", __name__)

    @routes.get("/notifications/not-told")
    def show_not_told() -> str:
        viewer, page = sessions.require_user(), parse_page(_QUERY)
        person = request.args.get("person", "").strip().removeprefix("@")
        post_id = request.args.get("post", "")
        actor_id, error = _find_person(person)
        filters = SuppressedFilter(actor_id, post_id.lower() if is_uuid(post_id) else None)
        body: JsonObject = {"entries": [], "held": [], "snoozed": [], "waiting": [], "nextCursor": None}
        if error is None:
            body = views.load(viewer.id, filters, page)
        posts = post_store.list_newest(viewer.id, PageRequest(MAX_POST_CHOICES)).items
        if filters.post_id and filters.post_id not in {post.id for post in posts}:
            posts += post_store.get_by_ids([filters.post_id], viewer.id)
        return render_template(
            "not_told.html",
            entries=[entry | {"text": _entry_text(entry)} for entry in body["entries"]],
            held=body["held"],
            snoozed=body["snoozed"],
            waiting=body["waiting"],
            caption_by_post={post.id: post.caption for post in posts},
            posts=posts,
            max_posts_with_windows=MAX_POSTS_WITH_WINDOWS,
            person=person,
            post_id=filters.post_id,
            error=error,
            next_cursor=body["nextCursor"],
        )

    def _find_person(username: str) -> tuple[str | None, str | None]:
        """The id of the person, or why there is none; neither without a user name."""
        if not username:
            return None, None
        try:
            return user_store.get_id_by_username(username), None
        except Rejected:
            return None, UNKNOWN_PERSON

    return routes
