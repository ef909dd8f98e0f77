"""GET /events/:id: where one event is, from the request to the recipient's browser.

For the person who caused the event, and for administrators, who also see why the recipient was not told.
jinja/static/eventWaterfall.js loads the page again until the event has arrived.
"""

from flask import Blueprint, render_template

from app.domain.errors import define_rejection
from app.domain.event_waterfall import HopName
from app.domain.events import Kind
from app.operations.event_waterfalls import EventWaterfalls
from app.social.users import Users, UserSummary
from blueprints.http.ids import is_uuid, parse_uuid
from blueprints.pages.page_session import PageSessions

EVENT_NOT_FOUND = define_rejection(
    "There is no such event, or it is not yours. Events can be followed for a day.", "event_not_found", 404
)
HOP_TITLES = {
    HopName.REQUEST: "Request",
    HopName.INGRESS: "Ingress",
    HopName.FALLBACK: "Fallback queue",
    HopName.KAFKA: "Kafka",
    HopName.WINDOW: "Window",
    HopName.TRANSACTION: "Transaction",
    HopName.OUTBOX: "Outbox",
    HopName.READY: "Ready topic",
    HopName.SOCKET: "Socket",
    HopName.BROWSER: "Shown in the browser",
}
_KINDS_ABOUT_POSTS = frozenset({Kind.LIKE, Kind.COMMENT, Kind.POST_SHARE})


def blueprint(sessions: PageSessions, user_store: Users, event_waterfalls: EventWaterfalls) -> Blueprint:
    routes = Blueprint("event_page", __name__)

    @routes.get("/events/<event_id>")
    def show_event(event_id: str) -> str:
        viewer = sessions.require_user()
        found = event_waterfalls.read(parse_uuid(event_id)) if is_uuid(event_id) else None
        is_admin = _is_admin(viewer)
        if found is None or (found.actor_id != viewer.id and not is_admin):
            raise EVENT_NOT_FOUND
        return render_template(
            "event.html",
            event_id=found.event_id,
            waterfall=found.waterfall,
            is_admin=is_admin,
            hop_titles=HOP_TITLES,
            post_id=found.object_id if found.kind in _KINDS_ABOUT_POSTS else None,
        )

    def _is_admin(viewer: UserSummary) -> bool:
        account = user_store.find_account_by_id(viewer.id)
        return account is not None and account.role == "admin"

    return routes
