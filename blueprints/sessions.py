"""Signing in and out through the HTML forms, and a token for the pages' own scripts.

In    /login, /register, /logout; POST /session/token
Out   app/accounts.py; the session cookie
"""

from typing import Any

from flask import Blueprint, redirect, render_template, request, session
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import Registration
from app.domain.errors import Rejected
from blueprints import accounts, tokens
from blueprints.identity import place, remember_device
from blueprints.schemas import LoginBody, RegisterBody, check
from blueprints.signed_in import check_csrf, local, me, sign_in, sign_out
from blueprints.views import Json

blueprint = Blueprint("session", __name__)
_LOGIN, _REGISTER = LoginBody(), RegisterBody()
_KEPT = ("email", "username", "name")
Page = str | AnyResponse | tuple[str, int]


@blueprint.get("/login")
def login_form() -> Page:
    return redirect(_next(), 303) if me() else render_template("login.html", next=_next())


@blueprint.post("/login")
def login() -> Page:
    check_csrf()
    try:
        given = check(_LOGIN, request.form.to_dict())
        signed = accounts().log_in(given["email"], given["password"], place())
    except Rejected as fault:
        return _again("login.html", fault)
    remember_device(signed)
    sign_in(signed.account.id, signed.session_id)
    return redirect(_next(), 303)


@blueprint.get("/register")
def register_form() -> Page:
    return redirect(_next(), 303) if me() else render_template("register.html", next=_next())


@blueprint.post("/register")
def register() -> Page:
    check_csrf()
    try:
        wanted = Registration(**check(_REGISTER, request.form.to_dict()))
        signed = accounts().register(wanted, place())
    except Rejected as fault:
        return _again("register.html", fault)
    remember_device(signed)
    sign_in(signed.account.id, signed.session_id)
    return redirect(_next(), 303)


def _again(template: str, fault: Rejected) -> tuple[str, int]:
    kept: dict[str, Any] = {name: request.form.get(name, "") for name in _KEPT}
    return render_template(template, error=str(fault), next=_next(), **kept), fault.status


def _next() -> str:
    return local(request.values.get("next"))


@blueprint.post("/logout")
def logout() -> AnyResponse:
    check_csrf()
    user_id, session_id = session.get("user"), session.get("session")
    if isinstance(user_id, str) and isinstance(session_id, str):
        accounts().log_out(user_id, session_id, None)
    sign_out()
    return redirect("/login", 303)


@blueprint.post("/session/token")
def token() -> Json:
    """An access token for the page that holds the session: short-lived, and kept in memory only."""
    check_csrf()
    found = me()
    if found is None:
        raise Rejected("No token provided", "no_token", 401)
    return {
        "success": True,
        "token": tokens().mint(found.id, session["session"]),
        "userId": found.id,
    }
