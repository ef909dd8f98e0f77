"""Register, log in, stay in, and get out (API; the pages' own log-in is sessions.py).

In    POST /api/auth/register, /login, /refresh, /logout, /logout-all; GET /api/auth/me
Out   app/accounts.py, app/tokens.py
"""

from flask import Blueprint
from marshmallow import validate

from app.accounts import Registration, Signed
from app.domain.errors import Rejected
from app.stores.users import Users
from blueprints import accounts, parts, tokens
from blueprints.identity import claims, person, place, remember_device
from blueprints.schemas import Body, LoginBody, RegisterBody, Text, body
from blueprints.views import Json, account

blueprint = Blueprint("auth", __name__, url_prefix="/api/auth")
MAX_REFRESH_TOKEN = 200


class RefreshBody(Body):
    needed = "refreshToken required"
    refreshToken = Text(required=True, validate=validate.Length(max=MAX_REFRESH_TOKEN))


class LogoutBody(Body):
    refreshToken = Text(allow_none=True, validate=validate.Length(max=MAX_REFRESH_TOKEN))


_REGISTER, _LOGIN, _REFRESH, _LOGOUT = RegisterBody(), LoginBody(), RefreshBody(), LogoutBody()


@blueprint.post("/register")
def register() -> tuple[Json, int]:
    return _signed_in(accounts().register(Registration(**body(_REGISTER)), place())), 201


@blueprint.post("/login")
def login() -> Json:
    given = body(_LOGIN)
    return _signed_in(accounts().log_in(given["email"], given["password"], place()))


@blueprint.post("/refresh")
def refresh() -> Json:
    session, following = accounts().refresh(body(_REFRESH)["refreshToken"])
    token = tokens().mint(session.user_id, session.id)
    return {"success": True, "token": token, "refreshToken": following}


@blueprint.post("/logout")
def logout() -> Json:
    asking = claims()
    refresh_token = body(_LOGOUT, optional=True).get("refreshToken")
    accounts().log_out(asking.user_id, asking.session_id, refresh_token)
    return {"success": True, "message": "Logged out"}


@blueprint.post("/logout-all")
def logout_all() -> Json:
    accounts().log_out_all(claims().user_id)
    return {"success": True, "message": "Logged out everywhere"}


@blueprint.get("/me")
def me() -> Json:
    found = Users(parts().engine).by_id(person())
    if found is None:
        raise Rejected("Invalid or expired token", "invalid_token", 401)
    return {"success": True, "user": account(found) | {"role": found.role}}


def _signed_in(signed: Signed) -> Json:
    remember_device(signed)
    return {
        "success": True,
        "user": account(signed.account),
        "token": tokens().mint(signed.account.id, signed.session_id),
        "refreshToken": signed.refresh_token,
    }
