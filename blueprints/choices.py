"""The page of preferences: what rings by which channel, quiet hours, and who is not to be heard.

In    GET, POST /preferences
Out   stores/preferences.py, stores/mutes.py; jinja/preferences.html

Scripts save each change at once through the API; without them the form sends everything.
"""

from datetime import UTC, datetime

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.preferences import category, time_zones, zone
from app.stores.posts import Posts
from app.stores.preferences import PreferenceStore, quiet_end
from blueprints import parts
from blueprints.acting import acting
from blueprints.mutes import mutes
from blueprints.paging import paging
from blueprints.preferences import CHANNELS, KINDS, PreferencesBody, shown
from blueprints.schemas import check
from blueprints.signed_in import reader
from blueprints.views import Json, mini

blueprint = Blueprint("choices", __name__)
_BODY = PreferencesBody()
MOST_LISTED = 100
SWITCHES = (
    "pushEnabled",
    "emailEnabled",
    "smsEnabled",
    "activity",
    "social",
    "marketing",
    "dndEnabled",
)
WORDS = {
    Kind.LIKE: "Likes of your posts",
    Kind.COMMENT: "Comments on your posts",
    Kind.COMMENT_REPLY: "Replies to your comments",
    Kind.MENTION: "Mentions of you",
    Kind.STORY_VIEW: "Views of your story",
    Kind.FOLLOW: "New followers",
    Kind.BELL_POST: "Posts of people you ring for",
    Kind.POST_SHARE: "Shares of your posts",
    Kind.MARKETING: "News about the product",
    Kind.DIGEST: "Summaries of what you missed",
    Kind.OTP: "Log-in codes",
    Kind.PASSWORD_RESET: "Password resets",
    Kind.SECURITY_ALERT: "Security alerts",
}
GROUPS = {
    "activity": "Activity",
    "social": "People",
    "marketing": "News",
    "critical": "Security: always on, by every channel",
}


@blueprint.get("/preferences")
def page() -> str:
    reading = reader()
    kept = _store().of(reading.id)
    until = quiet_end(kept.values, datetime.fromtimestamp(parts().clock(), UTC))
    return render_template(
        "preferences.html",
        chosen=shown(reading.id, kept),
        groups={name: (GROUPS[name], rows) for name, rows in _rows().items()},
        channels=CHANNELS,
        zones=sorted(time_zones()),
        held_until=until.astimezone(zone(kept.values["timezone"])) if until else None,
        **_silenced(reading.id),
    )


def _rows() -> dict[str, list[tuple[str, str]]]:
    """The lines of the matrix, under the switch that covers them."""
    rows: dict[str, list[tuple[str, str]]] = {name: [] for name in GROUPS}
    for kind in KINDS:
        name = "critical" if kind in CRITICAL_KINDS else category(kind)
        rows[name].append((kind.value, WORDS[kind]))
    return rows


def _silenced(user_id: str) -> Json:
    part = paging(MOST_LISTED, MOST_LISTED)
    muted = mutes().muted(user_id, part.slice)
    blocked = mutes().blocked(user_id, part.slice)
    posts = Posts(parts().engine).some([one.post_id for one in muted if one.post_id], user_id)
    return {
        "muted_people": [mini(one.person) for one in muted if one.person],
        "muted_posts": posts,
        "blocked_people": [mini(one.person) for one in blocked],
    }


@blueprint.post("/preferences")
def save() -> Response:
    """The whole form: a box that is not in it was not ticked."""
    person = acting()
    _store().merge(person.id, check(_BODY, _from_form()))
    return redirect("/preferences", 303)


def _from_form() -> Json:
    form = request.form
    values: Json = {name: name in form for name in SWITCHES}
    for name in ("dndStartTime", "dndEndTime"):
        if name in form:
            values[name] = form[name] or None  # an emptied field
    if form.get("timezone"):
        values["timezone"] = form["timezone"]
    values["matrix"] = {
        kind.value: {channel: f"{kind.value}.{channel}" in form for channel in CHANNELS}
        for kind in KINDS
        if kind not in CRITICAL_KINDS
    }
    return values


def _store() -> PreferenceStore:
    return PreferenceStore(parts().engine, parts().clock)
