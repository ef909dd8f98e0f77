"""Registration, log-in, refresh and log-out of the API: /api/auth/register, /login, /refresh, /logout,
/logout-all and /me. The pages' log-in is in blueprints/pages/login_pages.py.
"""

from flask import Blueprint
from marshmallow import validate

from app.accounts.access_tokens import AccessTokens
from app.accounts.authentication import AccountAuthentication, AuthenticatedSession, Registration
from app.domain.errors import Rejected
from app.social.users import Users
from blueprints.http.devices import RequestDevices
from blueprints.http.request_auth import RequestAuth
from blueprints.http.schemas import (
    LoginBody,
    RegisterBody,
    RequestSchema,
    TextField,
    parse_json_body,
)
from blueprints.http.serializers import JsonObject, account_json

MAX_REFRESH_TOKEN_LENGTH = 200


class RefreshBody(RequestSchema):
    required_message = "refreshToken required"
    refreshToken = TextField(required=True, validate=validate.Length(max=MAX_REFRESH_TOKEN_LENGTH))


class LogoutBody(RequestSchema):
    refreshToken = TextField(allow_none=True, validate=validate.Length(max=MAX_REFRESH_TOKEN_LENGTH))


_REGISTER_SCHEMA, _LOGIN_SCHEMA, _REFRESH_SCHEMA, _LOGOUT_SCHEMA = (
    RegisterBody(),
    LoginBody(),
    RefreshBody(),
    LogoutBody(),
)


def blueprint(
    accounts: AccountAuthentication,
    access_tokens: AccessTokens,
    request_auth: RequestAuth,
    devices: RequestDevices,
    user_store: Users,
) -> Blueprint:
    routes = Blueprint("auth", __name__, url_prefix="/api/auth")

    @routes.post("/register")
    def register() -> tuple[JsonObject, int]:
        return _session_response(
            accounts.register(Registration(**parse_json_body(_REGISTER_SCHEMA)), devices.current())
        ), 201

    @routes.post("/login")
    def log_in() -> JsonObject:
        credentials = parse_json_body(_LOGIN_SCHEMA)
        return _session_response(
            accounts.log_in(credentials["email"], credentials["password"], devices.current())
        )

    @routes.post("/refresh")
    def refresh_tokens() -> JsonObject:
        session, next_refresh_token = accounts.refresh_session(
            parse_json_body(_REFRESH_SCHEMA)["refreshToken"]
        )
        token = access_tokens.issue(session.user_id, session.id)
        return {"success": True, "token": token, "refreshToken": next_refresh_token}

    @routes.post("/logout")
    def log_out() -> JsonObject:
        token_claims = request_auth.current_claims()
        refresh_token = parse_json_body(_LOGOUT_SCHEMA, optional=True).get("refreshToken")
        accounts.log_out(token_claims.user_id, token_claims.session_id, refresh_token)
        return {"success": True, "message": "Logged out"}

    @routes.post("/logout-all")
    def log_out_all() -> JsonObject:
        accounts.log_out_all_sessions(request_auth.current_claims().user_id)
        return {"success": True, "message": "Logged out everywhere"}

    @routes.get("/me")
    def get_current_account() -> JsonObject:
        user = user_store.find_account_by_id(request_auth.current_user_id())
        if user is None:
            raise Rejected("Invalid or expired token", "invalid_token", 401)
        return {"success": True, "user": account_json(user) | {"role": user.role}}

    def _session_response(authenticated: AuthenticatedSession) -> JsonObject:
        devices.set_cookie(authenticated)
        return {
            "success": True,
            "user": account_json(authenticated.account),
            "token": access_tokens.issue(authenticated.account.id, authenticated.session_id),
            "refreshToken": authenticated.refresh_token,
        }

    return routes
