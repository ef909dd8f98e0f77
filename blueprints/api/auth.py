"""Registration, log-in, refresh and log-out of the API: /api/auth/register, /login, /refresh, /logout,
/logout-all and /me. The pages' log-in is in blueprints/pages/login_pages.py.
"""

import re

from marshmallow import ValidationError, fields, validate

from app.accounts.access_tokens import AccessTokens, Claims
from app.accounts.authentication import AccountAuthentication, AuthenticatedSession, Registration
from app.social.users import INVALID_TOKEN, Users
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.devices import RequestDevices
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import AccountSchema, MessageResponse, ResponseSchema
from blueprints.http.schemas import (
    MAX_NAME_LENGTH,
    MAX_RAW_PASSWORD_LENGTH,
    NewPasswordField,
    PasswordField,
    RequestSchema,
    SingleLineField,
    TextField,
    validate_email,
    validate_password,
)
from blueprints.http.serializers import JsonObject, account_json

MAX_REFRESH_TOKEN_LENGTH = 200
_USERNAME_PATTERN = re.compile(r"[a-zA-Z0-9_]{3,30}")


def _validate_username(value: str) -> None:
    if not _USERNAME_PATTERN.fullmatch(value):
        raise ValidationError(
            "Username must be 3-30 characters and contain only letters, numbers, and underscores"
        )


class RegisterBody(RequestSchema):
    required_message = "Email, username, and password are required"
    email = SingleLineField(required=True, validate=validate_email)
    username = SingleLineField(required=True, validate=_validate_username)
    password = NewPasswordField(required=True, validate=validate_password)
    name = SingleLineField(allow_none=True, validate=validate.Length(max=MAX_NAME_LENGTH))


class LoginBody(RequestSchema):
    required_message = "Email and password are required"
    email = SingleLineField(required=True, validate=validate_email)
    password = PasswordField(required=True, validate=validate.Length(max=MAX_RAW_PASSWORD_LENGTH))


class RefreshBody(RequestSchema):
    required_message = "refreshToken required"
    refreshToken = TextField(required=True, validate=validate.Length(max=MAX_REFRESH_TOKEN_LENGTH))


class LogoutBody(RequestSchema):
    is_body_optional = True
    refreshToken = TextField(allow_none=True, validate=validate.Length(max=MAX_REFRESH_TOKEN_LENGTH))


class TokensResponse(ResponseSchema):
    token = fields.String(metadata={"description": "the access token"})
    refreshToken = fields.String()


class SessionResponse(TokensResponse):
    user = fields.Nested(AccountSchema)


class CurrentAccountSchema(AccountSchema):
    role = fields.String(validate=validate.OneOf(["user", "admin"]))


class CurrentAccountResponse(ResponseSchema):
    user = fields.Nested(CurrentAccountSchema)


def blueprint(
    accounts: AccountAuthentication,
    access_tokens: AccessTokens,
    request_auth: RequestAuth,
    devices: RequestDevices,
    user_store: Users,
) -> ApiBlueprint:
    routes = ApiBlueprint("auth", __name__, url_prefix="/api/auth")

    @routes.post("/register")
    @routes.arguments(RegisterBody)
    @routes.returns(SessionResponse, 201, errors=(409, 429))
    def register(body: JsonObject) -> tuple[JsonObject, int]:
        """Create an account and log in."""
        return _session_response(accounts.register(Registration(**body), devices.current())), 201

    @routes.post("/login")
    @routes.arguments(LoginBody)
    @routes.returns(SessionResponse, errors=(401, 429))
    def log_in(body: JsonObject) -> JsonObject:
        """Log in."""
        return _session_response(accounts.log_in(body["email"], body["password"], devices.current()))

    @routes.post("/refresh")
    @routes.arguments(RefreshBody)
    @routes.returns(TokensResponse, errors=(401,))
    def refresh_tokens(body: JsonObject) -> JsonObject:
        """Exchange a refresh token for a new pair of tokens.

        A refresh token is valid once. A second use ends its session.
        """
        session, next_refresh_token = accounts.refresh_session(body["refreshToken"])
        token = access_tokens.issue(session.user_id, session.id)
        return {"success": True, "token": token, "refreshToken": next_refresh_token}

    @routes.post("/logout")
    @requires(Authority.USER, request_auth.current_claims)
    @routes.arguments(LogoutBody)
    @routes.returns(MessageResponse)
    def log_out(claims: Claims, body: JsonObject) -> JsonObject:
        """End the session of the token."""
        accounts.log_out(claims.user_id, claims.session_id, body.get("refreshToken"))
        return {"success": True, "message": "Logged out"}

    @routes.post("/logout-all")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(MessageResponse)
    def log_out_all(user_id: str) -> JsonObject:
        """End all sessions of the user."""
        accounts.log_out_all_sessions(user_id)
        return {"success": True, "message": "Logged out everywhere"}

    @routes.get("/me")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(CurrentAccountResponse)
    def get_current_account(user_id: str) -> JsonObject:
        """The account of the token."""
        user = user_store.find_account_by_id(user_id)
        if user is None:
            raise INVALID_TOKEN
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
