"""What frames every page: who looks, what they may see, the words templates use; the colours.

In    POST /theme; /favicon.ico; every template
Out   jinja/layout.html and macros.html
"""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, request
from markupsafe import Markup, escape
from werkzeug.wrappers import Response

from app.domain.errors import Unavailable
from app.domain.mentions import find_mentions
from app.domain.text import initials, truncate
from app.domain.wording import isolated
from app.stores.notifications import Notifications
from app.stores.users import Users
from blueprints import parts
from blueprints.signed_in import check_csrf, csrf, local, me

blueprint = Blueprint("frame", __name__)
THEMES = ("light", "dark")
YEAR_SECONDS = 365 * 24 * 3600


@blueprint.app_context_processor
def frame() -> dict[str, Any]:
    """What the frame of every page needs; an error page is shown even without a database."""
    try:
        person = me()
        unread = Notifications(parts().engine).badge(person.id).count if person else 0
    except Unavailable:
        person, unread = None, 0
    theme = request.cookies.get("theme")
    return {
        "me": person,
        "unread": unread,
        "csrf": csrf,
        "testing": parts().settings.web.testing,
        "operates": lambda: person is not None and operates(person.id),
        "theme": theme if theme in THEMES else None,
        "here": request.full_path.rstrip("?") if request.method == "GET" else "/",
    }


def operates(user_id: str) -> bool:
    """Who is shown the ways to the dashboard and the tables; each page asks again by itself."""
    if parts().settings.web.testing:
        return True
    try:
        found = Users(parts().engine).by_id(user_id)
    except Unavailable:
        return False
    return found is not None and found.role == "admin"


@blueprint.app_template_global("more_of")
def more_of(cursor: str) -> str:
    """The address of the next part of the list that this page shows."""
    return "?" + urlencode(request.args.to_dict() | {"cursor": cursor})


@blueprint.app_template_filter("hue")
def hue(name: str) -> int:
    """One of eight colours for a drawn avatar; a style attribute would need a laxer policy."""
    return sum(name.encode()) % 8


@blueprint.app_template_filter("mentions")
def mentions(text: str) -> Markup:
    """Escaped, with a link for each mention."""
    pieces, end = [], 0
    for found in find_mentions(text):
        pieces.append(escape(text[end : found.start]))
        shown = text[found.start : found.end]
        pieces.append(Markup('<a href="/users/{}">{}</a>').format(found.username, shown))
        end = found.end
    return Markup("").join([*pieces, escape(text[end:])])


blueprint.add_app_template_filter(initials)
blueprint.add_app_template_filter(truncate, "preview")
blueprint.add_app_template_filter(isolated, "isolate")


@blueprint.post("/theme")
def theme() -> Response:
    """Light or dark whatever the machine says; anything else: as the machine says."""
    check_csrf()
    wanted = request.form.get("theme")
    answer = redirect(local(request.form.get("back")), 303)
    if wanted in THEMES:
        web = parts().settings.web
        answer.set_cookie(
            "theme",
            str(wanted),
            max_age=YEAR_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=not web.testing,
        )
    else:
        answer.delete_cookie("theme")
    return answer


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    return redirect("/static/favicon.svg", 302)
