"""Template variables, filters and functions of every page; POST /theme and /favicon.ico."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, request
from markupsafe import Markup, escape
from werkzeug.wrappers import Response

from app.domain.errors import Unavailable
from app.domain.mentions import find_mentions
from app.domain.messages import isolate_name_direction
from app.domain.text import initials, truncate_graphemes
from app.social.notifications import Notifications
from app.social.users import Users
from blueprints.pages.page_session import PageSessions, safe_local_path

THEMES = ("light", "dark")
THEME_COOKIE_MAX_AGE_SECONDS = 365 * 24 * 3600


def blueprint(
    sessions: PageSessions, notification_store: Notifications, user_store: Users, is_testing: bool
) -> Blueprint:
    routes = Blueprint("page_context", __name__)

    @routes.app_context_processor
    def page_context() -> dict[str, Any]:
        """Variables of every page. Error pages must render without a database as well."""
        try:
            user = sessions.current_user()
            unread_count = notification_store.count_unread(user.id).count if user else 0
        except Unavailable:
            user, unread_count = None, 0
        theme = request.cookies.get("theme")
        return {
            "current_user": user,
            "unread_count": unread_count,
            "is_testing": is_testing,
            "can_use_admin_pages": lambda: user is not None and (is_testing or is_admin(user.id)),
            "can_run_storms": lambda: user is not None and is_testing and is_admin(user.id),
            "theme": theme if theme in THEMES else None,
            "current_path": request.full_path.rstrip("?") if request.method == "GET" else "/",
        }

    def is_admin(user_id: str) -> bool:
        """Whether to show links to the pages of administrators. Those pages check again."""
        try:
            account = user_store.find_account_by_id(user_id)
        except Unavailable:
            return False
        return account is not None and account.role == "admin"

    @routes.app_template_global("next_page_url")
    def next_page_url(cursor: str) -> str:
        """The address of the next page of the current list."""
        return "?" + urlencode(request.args.to_dict() | {"cursor": cursor})

    @routes.app_template_filter("avatar_hue")
    def avatar_hue(name: str) -> int:
        """One of eight colours of a generated avatar. A class, because the Content-Security-Policy
        forbids style attributes."""
        return sum(name.encode()) % 8

    @routes.app_template_filter("link_mentions")
    def link_mentions(text: str) -> Markup:
        """The escaped text, with a link for each mention."""
        chunks, position = [], 0
        for mention in find_mentions(text):
            chunks.append(escape(text[position : mention.start]))
            mention_text = text[mention.start : mention.end]
            chunks.append(Markup('<a href="/users/{}">{}</a>').format(mention.username, mention_text))
            position = mention.end
        return Markup("").join([*chunks, escape(text[position:])])

    routes.add_app_template_filter(initials)

    routes.add_app_template_filter(truncate_graphemes, "preview")

    routes.add_app_template_filter(isolate_name_direction, "isolate")

    @routes.post("/theme")
    def set_theme() -> Response:
        """Light or dark; any other value follows the setting of the device."""
        requested_theme = request.form.get("theme")
        response = redirect(safe_local_path(request.form.get("return_path")), 303)
        if requested_theme in THEMES:
            response.set_cookie(
                "theme",
                str(requested_theme),
                max_age=THEME_COOKIE_MAX_AGE_SECONDS,
                httponly=True,
                samesite="Lax",
                secure=not is_testing,
            )
        else:
            response.delete_cookie("theme")
        return response

    @routes.get("/favicon.ico")
    def redirect_favicon() -> Response:
        return redirect("/static/favicon.svg", 302)

    return routes
