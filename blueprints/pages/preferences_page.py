"""GET, POST /preferences: channels per notification type, quiet hours, and muted and blocked users.

Scripts save each change at once through the API; without scripts the form sends everything.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from app.domain.events import CRITICAL_KINDS, EXTERNAL_KINDS, Kind
from app.domain.preferences import preference_category, selectable_time_zones, time_zone_or_utc
from app.persistence.pages import PageRequest
from app.social.mutes import MutesAndBlocks
from app.social.posts import PostReader
from app.social.preferences import PreferenceStore, stored_quiet_hours_end
from blueprints.api.preferences import (
    CHANNELS,
    CONFIGURABLE_KINDS,
    PreferencesBody,
    preferences_json,
)
from blueprints.http.schemas import validate_data
from blueprints.http.serializers import JsonObject, user_summaries_json
from blueprints.pages.form_auth import FormAuth
from blueprints.pages.page_session import PageSessions

_PREFERENCES_SCHEMA = PreferencesBody()
MAX_LISTED = 100
SHOWN_KINDS = tuple(kind for kind in CONFIGURABLE_KINDS if kind not in EXTERNAL_KINDS)
"""The API sets the others."""
BOOLEAN_PREFERENCES = (
    "pushEnabled",
    "emailEnabled",
    "smsEnabled",
    "activity",
    "social",
    "dndEnabled",
)
KIND_DESCRIPTIONS = {
    Kind.LIKE: "Likes on your posts",
    Kind.COMMENT: "Comments on your posts",
    Kind.COMMENT_REPLY: "Replies to your comments",
    Kind.MENTION: "Mentions",
    Kind.STORY_VIEW: "Views of your story",
    Kind.FOLLOW: "New followers",
    Kind.BELL_POST: "Posts you asked to be alerted to",
    Kind.POST_SHARE: "Shares of your posts",
    Kind.MARKETING: "News about the product",
    Kind.DIGEST: "Summaries of what you missed",
    Kind.OTP: "Log-in codes",
    Kind.PASSWORD_RESET: "Password resets",
    Kind.SECURITY_ALERT: "Security alerts",
}
CATEGORY_TITLES = {
    "activity": "Activity",
    "social": "People",
    "critical": "Security (always on)",
}


def _kinds_by_category() -> dict[str, list[tuple[str, str]]]:
    """The rows of the matrix, grouped by the general switch that covers them."""
    kinds_by_category: dict[str, list[tuple[str, str]]] = {name: [] for name in CATEGORY_TITLES}
    for kind in SHOWN_KINDS:
        category_name = "critical" if kind in CRITICAL_KINDS else preference_category(kind)
        kinds_by_category[category_name].append((kind.value, KIND_DESCRIPTIONS[kind]))
    return kinds_by_category


def _preferences_from_form() -> JsonObject:
    form = request.form
    values: JsonObject = {name: name in form for name in BOOLEAN_PREFERENCES}
    for name in ("dndStartTime", "dndEndTime"):
        if name in form:
            values[name] = form[name] or None  # an empty field
    if form.get("timezone"):
        values["timezone"] = form["timezone"]
    values["matrix"] = {
        kind.value: {channel: f"{kind.value}.{channel}" in form for channel in CHANNELS}
        for kind in SHOWN_KINDS
        if kind not in CRITICAL_KINDS
    }
    return values


def blueprint(
    sessions: PageSessions,
    form_auth: FormAuth,
    preference_store: PreferenceStore,
    mute_store: MutesAndBlocks,
    post_store: PostReader,
    now: Callable[[], float],
) -> Blueprint:
    routes = Blueprint("preferences_page", __name__)

    @routes.get("/preferences")
    def show_preferences() -> str:
        viewer = sessions.require_user()
        preferences = preference_store.get(viewer.id)
        quiet_until = stored_quiet_hours_end(preferences, datetime.fromtimestamp(now(), UTC))
        return render_template(
            "preferences.html",
            preferences=preferences_json(viewer.id, preferences),
            preference_groups={
                category_name: (CATEGORY_TITLES[category_name], rows)
                for category_name, rows in _kinds_by_category().items()
            },
            channels=CHANNELS,
            time_zones=sorted(selectable_time_zones()),
            quiet_until=quiet_until.astimezone(time_zone_or_utc(preferences["timezone"]))
            if quiet_until
            else None,
            **_muted_and_blocked(viewer.id),
        )

    def _muted_and_blocked(user_id: str) -> JsonObject:
        muted = mute_store.list_muted(user_id, PageRequest(MAX_LISTED)).items
        blocked = mute_store.list_blocked(user_id, PageRequest(MAX_LISTED)).items
        return {
            "muted_users": user_summaries_json(entry.user for entry in muted if entry.user),
            "muted_posts": post_store.get_by_ids(
                [entry.post_id for entry in muted if entry.post_id], user_id
            ),
            "blocked_users": user_summaries_json(blocked),
        }

    @routes.post("/preferences")
    def save_preferences() -> Response:
        """Saves the whole form. A checkbox that is not sent is unchecked."""
        user = form_auth.require_user()
        preference_store.merge(user.id, validate_data(_PREFERENCES_SCHEMA, _preferences_from_form()))
        return redirect("/preferences", 303)

    return routes
