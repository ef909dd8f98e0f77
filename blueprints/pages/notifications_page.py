"""GET /notifications: the list of notifications by day, with the parameters tab (all, unread, mentions,
snoozed), type and cursor.

Works without scripts; its forms are in blueprints/pages/post_forms.py. With scripts,
jinja/static/notifications/notificationList.js replaces the list.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, render_template, request

from app.delivery.links import notification_path
from app.domain.events import Kind
from app.social.notifications import NotificationFilter, Notifications
from blueprints.api.notifications import NotificationSerializer
from blueprints.http.pagination import encode_cursor, parse_page
from blueprints.http.serializers import JsonObject
from blueprints.pages.page_session import PageSessions

TABS = ("all", "unread", "mentions", "snoozed")
KIND_LABELS = {
    Kind.LIKE: "Likes",
    Kind.COMMENT: "Comments",
    Kind.COMMENT_REPLY: "Replies",
    Kind.MENTION: "Mentions",
    Kind.FOLLOW: "Followers",
    Kind.BELL_POST: "New posts",
    Kind.POST_SHARE: "Shares",
    Kind.SECURITY_ALERT: "Security",
    Kind.OTP: "Log-in codes",
    Kind.PASSWORD_RESET: "Passwords",
}


def _selection_from_query() -> dict[str, str]:
    """Unknown values mean no filter, so that any link shows a list."""
    tab, kind = request.args.get("tab", ""), request.args.get("type", "")
    return {"tab": tab if tab in TABS else "all", "type": kind if kind in set(Kind) else ""}


def _filter_for(selection: dict[str, str]) -> NotificationFilter:
    kind = Kind.MENTION.value if selection["tab"] == "mentions" else selection["type"]
    tab = selection["tab"]
    return NotificationFilter(unread_only=tab == "unread", kind=kind or None, snoozed=tab == "snoozed")


def _tab_counts(stats: list[dict[str, Any]], kind: str | None) -> dict[str, Any]:
    """The count of each tab within the chosen type, as in jinja/static/notifications/totals.js."""
    matching = [kind_stats for kind_stats in stats if kind in (None, Kind.MENTION.value, kind_stats["type"])]
    return {
        "all": sum(kind_stats["count"] for kind_stats in matching),
        "unread": sum(kind_stats["unread"] for kind_stats in matching),
        "mentions": sum(
            kind_stats["count"] for kind_stats in stats if kind_stats["type"] == Kind.MENTION.value
        ),
    }


def _form_actions(notification: JsonObject) -> list[tuple[str, str, str]]:
    """(path below /notifications/, icon, label) of the buttons that work without scripts. To snooze needs
    scripts, which know the reader's time zone."""
    if notification["snoozedUntil"]:
        return [("unsnooze", "inbox", "Move back to the list")]
    mark = (
        ("unread", "unread", "Mark as unread")
        if notification["isRead"]
        else ("read", "check", "Mark as read")
    )
    return [mark, ("archive", "archive", "Archive")]


def _group_by_day(rows: Sequence[JsonObject], today: date) -> Iterator[tuple[str, list[JsonObject]]]:
    """(heading, rows) per day, in UTC; scripts put the reader's days in their place."""
    for day, rows_of_day in groupby(rows, lambda row: row["updatedAt"].astimezone(UTC).date()):
        if day >= today:
            heading = "Today"
        elif day == today - timedelta(days=1):
            heading = "Yesterday"
        else:
            heading = f"{day:%A} {day.day} {day:%B %Y}"
        yield heading, list(rows_of_day)


def blueprint(
    sessions: PageSessions,
    notification_store: Notifications,
    notification_serializer: NotificationSerializer,
    now: Callable[[], float],
) -> Blueprint:
    routes = Blueprint("notifications_page", __name__)

    @routes.app_context_processor
    def kinds_context() -> dict[str, Any]:
        """The type filter of the notification panel, which is on every page."""
        return {"type_labels": {kind.value: label for kind, label in KIND_LABELS.items()}}

    @routes.get("/notifications")
    def show_notifications() -> str:
        viewer = sessions.require_user()
        selection = _selection_from_query()
        notification_filter = _filter_for(selection)
        rows = notification_store.list_newest(viewer.id, notification_filter, parse_page())
        rows_with_links = [
            row | {"href": notification_path(row), "form_actions": _form_actions(row)}
            for row in notification_serializer.notifications_json(rows.items)
        ]
        tab_counts = _tab_counts(
            [dict(kind_stats) for kind_stats in notification_store.count_by_kind(viewer.id)],
            notification_filter.kind,
        )
        return render_template(
            "notifications.html",
            notification_days=_group_by_day(rows_with_links, datetime.fromtimestamp(now(), UTC).date()),
            view=selection,
            tab_counts=tab_counts,
            displayed_count=len(rows_with_links),
            next_cursor=encode_cursor(rows.next_key),
            current_path=f"/notifications?{urlencode(selection)}",
            up_to=max((row["seq"] for row in rows_with_links), default=None),
        )

    return routes
