"""GET, POST /unsubscribe/:token: the page behind the unsubscribe link of an e-mail.

The token is signed (app/delivery/links.py), so the page works without log-in. GET changes nothing,
because mail programs and scanners follow links. POST (RFC 8058) needs neither session nor CSRF token;
it turns off e-mails of one type for one user.
"""

from flask import Blueprint, render_template

from app.delivery.links import NotificationLinks
from app.domain.events import Kind
from app.social.preferences import PreferenceStore
from app.social.users import Users
from blueprints.pages.preferences_page import KIND_DESCRIPTIONS


def blueprint(links: NotificationLinks, preference_store: PreferenceStore, user_store: Users) -> Blueprint:
    routes = Blueprint("unsubscribe", __name__)

    @routes.get("/unsubscribe/<token>")
    def show_unsubscribe(token: str) -> str:
        user_id, kind = links.read_unsubscribe_token(token)
        preferences = preference_store.get(user_id)
        channels = preferences["matrix"].get(kind.value, {})
        return _render_unsubscribe(
            user_id,
            kind,
            is_unsubscribed=not (preferences["emailEnabled"] and channels.get("email", False)),
        )

    @routes.post("/unsubscribe/<token>")
    def unsubscribe(token: str) -> str:
        """Responds with a page and no redirect, as RFC 8058 requires."""
        user_id, kind = links.read_unsubscribe_token(token)
        preference_store.merge(user_id, {"matrix": {kind.value: {"email": False}}})
        return _render_unsubscribe(user_id, kind, is_unsubscribed=True)

    def _render_unsubscribe(user_id: str, kind: Kind, is_unsubscribed: bool) -> str:
        user = user_store.get_summaries([user_id]).get(user_id)
        return render_template(
            "unsubscribe.html", user=user, kind_label=KIND_DESCRIPTIONS[kind], is_unsubscribed=is_unsubscribed
        )

    return routes
