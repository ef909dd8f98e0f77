"""HTML forms for posts, comments and notifications, for use without scripts. Each redirects back.

POST /posts; /posts/:id/comments, /like, /share, /bookmark, /delete; /comments/:id/delete;
/notifications/{read,unread,archive,unsnooze}.
"""

from flask import Blueprint, request
from werkzeug.wrappers import Response

from app.ingest.actions import DesiredState
from app.social.bookmarks import Bookmarks
from app.social.notification_status import (
    ARCHIVE,
    MARK_UNREAD,
    NotificationStatusStore,
    StatusTransition,
)
from app.social.removals import PostAndAccountRemoval
from app.social.users import Users
from app.trace_context import get_or_create_traceparent
from blueprints.api.comments import ReplyBody, require_content
from blueprints.api.posts import PostBody, parse_post_content, publish_post
from blueprints.http.ids import parse_uuid
from blueprints.http.schemas import validate_data
from blueprints.http.write_actions import WriteActions
from blueprints.pages.form_auth import FormAuth, parse_desired_state, redirect_back

_POST_SCHEMA, _REPLY_SCHEMA = PostBody(), ReplyBody()


def blueprint(
    form_auth: FormAuth,
    write_actions: WriteActions,
    user_store: Users,
    bookmark_store: Bookmarks,
    status_store: NotificationStatusStore,
    removals: PostAndAccountRemoval,
) -> Blueprint:
    routes = Blueprint("post_forms", __name__)

    @routes.post("/posts")
    def submit_post() -> Response:
        user = form_auth.require_user()
        caption, image_url = parse_post_content(validate_data(_POST_SCHEMA, request.form.to_dict()))
        publish_post(user_store, write_actions, user.id, caption, image_url)
        return redirect_back()

    @routes.post("/posts/<post_id>/comments")
    def submit_comment(post_id: str) -> Response:
        user = form_auth.require_user()
        content = require_content(
            validate_data(_REPLY_SCHEMA, request.form.to_dict())["content"], "Content required"
        )
        raw_parent_id = request.form.get("parent")
        if raw_parent_id:
            write_actions.checked().create_reply(
                user.id, parse_uuid(raw_parent_id), content, get_or_create_traceparent()
            )
        else:
            write_actions.checked().create_comment(
                user.id, parse_uuid(post_id), content, get_or_create_traceparent()
            )
        return redirect_back()

    @routes.post("/posts/<post_id>/like")
    def submit_like(post_id: str) -> Response:
        user = form_auth.require_user()
        write_actions.checked().set_like(
            user.id, parse_uuid(post_id), parse_desired_state(), get_or_create_traceparent()
        )
        return redirect_back()

    @routes.post("/posts/<post_id>/share")
    def submit_share(post_id: str) -> Response:
        user = form_auth.require_user()
        write_actions.checked().share_post(user.id, parse_uuid(post_id), get_or_create_traceparent())
        return redirect_back()

    @routes.post("/posts/<post_id>/bookmark")
    def submit_bookmark(post_id: str) -> Response:
        user = form_auth.require_user()
        bookmark_store.set_or_toggle_bookmark(
            user.id, parse_uuid(post_id), parse_desired_state() is DesiredState.ON
        )
        return redirect_back()

    @routes.post("/posts/<post_id>/delete")
    def submit_post_deletion(post_id: str) -> Response:
        user = form_auth.require_user()
        removals.delete_post(user.id, parse_uuid(post_id))
        return redirect_back()

    @routes.post("/comments/<comment_id>/delete")
    def submit_comment_deletion(comment_id: str) -> Response:
        user = form_auth.require_user()
        write_actions.checked().delete_comment(user.id, parse_uuid(comment_id), get_or_create_traceparent())
        return redirect_back()

    @routes.post("/notifications/read")
    def submit_read() -> Response:
        """Marks one notification, or all up to the newest that the page showed."""
        user = form_auth.require_user()
        raw_notification_id = request.form.get("id")
        max_seq = request.form.get("upTo", "")
        if raw_notification_id:
            status_store.mark_read(user.id, parse_uuid(raw_notification_id))
        else:
            status_store.mark_all_read(
                user.id, int(max_seq) if max_seq.isascii() and max_seq.isdigit() else None
            )
        return redirect_back()

    @routes.post("/notifications/unread")
    def submit_unread() -> Response:
        return _change_status(MARK_UNREAD)

    @routes.post("/notifications/archive")
    def submit_archive() -> Response:
        return _change_status(ARCHIVE)

    @routes.post("/notifications/unsnooze")
    def submit_unsnooze() -> Response:
        user = form_auth.require_user()
        status_store.cancel_snooze(user.id, parse_uuid(request.form.get("id", "")))
        return redirect_back()

    def _change_status(change: StatusTransition) -> Response:
        user = form_auth.require_user()
        status_store.apply_status_change(user.id, parse_uuid(request.form.get("id", "")), change)
        return redirect_back()

    return routes
