"""Log-in, registration and log-out through HTML forms (/login, /register, /logout), and POST
/session/token, which gives the page's scripts an access token.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, redirect, render_template, request, session
from werkzeug.wrappers import Response as AnyResponse

from app.accounts.access_tokens import AccessTokens
from app.accounts.authentication import AccountAuthentication, AuthenticatedSession, Registration
from app.domain.errors import Rejected
from blueprints.api.auth import LoginBody, RegisterBody
from blueprints.http.devices import RequestDevices
from blueprints.http.schemas import validate_data
from blueprints.http.serializers import JsonObject
from blueprints.pages.page_session import (
    PageSessions,
    clear_session,
    safe_local_path,
    start_session,
)

_LOGIN_SCHEMA, _REGISTER_SCHEMA = LoginBody(), RegisterBody()
_PREFILLED_FIELDS = ("email", "username", "name")
PageResponse = str | AnyResponse | tuple[str, int]


def _form_with_error(template_name: str, error: Rejected) -> tuple[str, int]:
    prefilled: dict[str, Any] = {name: request.form.get(name, "") for name in _PREFILLED_FIELDS}
    return render_template(
        template_name, error=str(error), return_path=_next_url(), **prefilled
    ), error.status


def _next_url() -> str:
    return safe_local_path(request.values.get("next"))


def blueprint(
    sessions: PageSessions,
    accounts: AccountAuthentication,
    access_tokens: AccessTokens,
    devices: RequestDevices,
) -> Blueprint:
    routes = Blueprint("login_pages", __name__)

    @routes.get("/login")
    def show_login() -> PageResponse:
        return _show_form("login.html")

    @routes.get("/register")
    def show_registration() -> PageResponse:
        return _show_form("register.html")

    def _show_form(template_name: str) -> PageResponse:
        if sessions.current_user():
            return redirect(_next_url(), 303)
        return render_template(template_name, return_path=_next_url())

    @routes.post("/login")
    def submit_login() -> PageResponse:
        def log_in() -> AuthenticatedSession:
            payload = validate_data(_LOGIN_SCHEMA, request.form.to_dict())
            return accounts.log_in(payload["email"], payload["password"], devices.current())

        return _open_session("login.html", log_in)

    @routes.post("/register")
    def submit_registration() -> PageResponse:
        def register() -> AuthenticatedSession:
            registration = Registration(**validate_data(_REGISTER_SCHEMA, request.form.to_dict()))
            return accounts.register(registration, devices.current())

        return _open_session("register.html", register)

    def _open_session(template_name: str, authenticate: Callable[[], AuthenticatedSession]) -> PageResponse:
        try:
            authenticated = authenticate()
        except Rejected as error:
            return _form_with_error(template_name, error)
        devices.set_cookie(authenticated)
        start_session(authenticated.account.id, authenticated.session_id)
        return redirect(_next_url(), 303)

    @routes.post("/logout")
    def submit_logout() -> AnyResponse:
        user_id, session_id = session.get("user"), session.get("session")
        if isinstance(user_id, str) and isinstance(session_id, str):
            accounts.log_out(user_id, session_id, None)
        clear_session()
        return redirect("/login", 303)

    @routes.post("/session/token")
    def issue_page_token() -> JsonObject:
        """A short-lived access token for the page's scripts, which keep it in memory only."""
        user = sessions.current_user()
        if user is None:
            raise Rejected("No token provided", "no_token", 401)
        return {
            "success": True,
            "token": access_tokens.issue(user.id, session["session"]),
            "userId": user.id,
        }

    return routes
