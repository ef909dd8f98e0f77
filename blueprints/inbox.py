"""The inbox: the list of notifications as a page that needs no scripts.

In    GET /notifications: tab (all, unread, mentions), type, cursor
Out   jinja/notifications.html; its forms are in blueprints/forms.py
Next  jinja/static/bell/list.js takes the page over where scripts run
"""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, render_template, request

from app.domain.events import Kind
from app.links import path_of
from app.stores.notifications import Filter, Notifications
from blueprints import parts
from blueprints.notifications import place, rows
from blueprints.paging import next_cursor, paging
from blueprints.signed_in import reader

blueprint = Blueprint("inbox", __name__)
PER_PAGE = 20
TABS = ("all", "unread", "mentions")
KINDS = {
    Kind.LIKE: "Likes",
    Kind.COMMENT: "Comments",
    Kind.COMMENT_REPLY: "Replies",
    Kind.MENTION: "Mentions",
    Kind.FOLLOW: "Followers",
    Kind.BELL_POST: "New posts",
    Kind.POST_SHARE: "Shares",
    Kind.STORY_VIEW: "Story views",
    Kind.SECURITY_ALERT: "Security",
    Kind.OTP: "Log-in codes",
    Kind.PASSWORD_RESET: "Passwords",
    Kind.MARKETING: "News",
    Kind.DIGEST: "Digests",
}


@blueprint.app_context_processor
def kinds() -> dict[str, Any]:
    """The panel's choice of kinds stands on every page."""
    return {"kinds": {kind.value: label for kind, label in KINDS.items()}}


@blueprint.get("/notifications")
def notifications() -> str:
    reading, part = reader(), paging(PER_PAGE, PER_PAGE)
    store, view = Notifications(parts().engine), _view()
    wanted = _wanted(view)
    found = store.newest(reading.id, wanted, part.slice)
    shown = [row | {"href": path_of(row)} for row in rows(found[:PER_PAGE])]
    counts = _counts([dict(one) for one in store.stats(reading.id)], wanted.kind)
    counts |= {"shown": len(shown), "older": next_cursor(found, PER_PAGE, place)}
    return render_template(
        "notifications.html",
        notifications=shown,
        view=view,
        counts=counts,
        here=f"/notifications?{urlencode(view)}",
        up_to=max((row["seq"] for row in shown), default=None),
    )


def _view() -> dict[str, str]:
    """What is unknown is everything: a link from elsewhere still shows a list."""
    tab, kind = request.args.get("tab", ""), request.args.get("type", "")
    return {"tab": tab if tab in TABS else "all", "type": kind if kind in set(Kind) else ""}


def _wanted(view: dict[str, str]) -> Filter:
    kind = Kind.MENTION.value if view["tab"] == "mentions" else view["type"]
    return Filter(unread_only=view["tab"] == "unread", kind=kind or None)


def _counts(stats: list[dict[str, Any]], kind: str | None) -> dict[str, Any]:
    """Of each tab, within the chosen kind, as jinja/static/bell/totals.js counts them."""
    chosen = [one for one in stats if kind in (None, Kind.MENTION.value, one["type"])]
    return {
        "all": sum(one["count"] for one in chosen),
        "unread": sum(one["unread"] for one in chosen),
        "mentions": sum(one["count"] for one in stats if one["type"] == Kind.MENTION.value),
    }
