"""Passwords and one-time codes: POST /api/auth/password, /password/reset-request, /password/reset,
/otp/request and /otp/verify.
"""

from flask import Blueprint
from marshmallow import validate

from app.accounts.credentials import PasswordsAndOneTimeCodes
from blueprints.http.devices import RequestDevices
from blueprints.http.request_auth import RequestAuth
from blueprints.http.schemas import (
    MAX_RAW_PASSWORD_LENGTH,
    NewPasswordField,
    PasswordField,
    RequestSchema,
    SingleLineField,
    TextField,
    parse_json_body,
    validate_email,
    validate_password,
)
from blueprints.http.serializers import JsonObject

MAX_RESET_TOKEN_LENGTH = 200


class ChangePasswordBody(RequestSchema):
    required_message = "currentPassword and newPassword required"
    currentPassword = PasswordField(required=True, validate=validate.Length(max=MAX_RAW_PASSWORD_LENGTH))
    newPassword = NewPasswordField(required=True, validate=validate_password)


class RequestPasswordResetBody(RequestSchema):
    required_message = "Email required"
    email = SingleLineField(required=True, validate=validate_email)


class ResetPasswordBody(RequestSchema):
    required_message = "token and newPassword required"
    token = TextField(required=True, validate=validate.Length(max=MAX_RESET_TOKEN_LENGTH))
    newPassword = NewPasswordField(required=True, validate=validate_password)


class EmptyBody(RequestSchema):
    pass


class VerifyCodeBody(RequestSchema):
    required_message = "code required"
    code = TextField(required=True, validate=validate.Length(max=20))


_CHANGE_SCHEMA, _RESET_REQUEST_SCHEMA, _RESET_SCHEMA = (
    ChangePasswordBody(),
    RequestPasswordResetBody(),
    ResetPasswordBody(),
)
_EMPTY_SCHEMA, _CODE_SCHEMA = EmptyBody(), VerifyCodeBody()


def blueprint(
    request_auth: RequestAuth, devices: RequestDevices, credentials: PasswordsAndOneTimeCodes
) -> Blueprint:
    routes = Blueprint("passwords", __name__, url_prefix="/api/auth")

    @routes.post("/password")
    def change_password() -> JsonObject:
        token_claims, payload = request_auth.current_claims(), parse_json_body(_CHANGE_SCHEMA)
        credentials.change_password(token_claims, payload["currentPassword"], payload["newPassword"])
        return {"success": True, "message": "Password changed"}

    @routes.post("/password/reset-request")
    def request_password_reset() -> JsonObject:
        credentials.request_password_reset(
            parse_json_body(_RESET_REQUEST_SCHEMA)["email"], devices.current().ip_address
        )
        return {
            "success": True,
            "message": "If there is an account with this address, a message is on its way",
        }

    @routes.post("/password/reset")
    def reset_password() -> JsonObject:
        payload = parse_json_body(_RESET_SCHEMA)
        credentials.reset_password(payload["token"], payload["newPassword"])
        return {"success": True, "message": "Password reset"}

    @routes.post("/otp/request")
    def request_code() -> JsonObject:
        user_id = request_auth.current_user_id()
        parse_json_body(_EMPTY_SCHEMA, optional=True)
        credentials.request_one_time_code(user_id, devices.current().ip_address)
        return {"success": True, "message": "A code is on its way"}

    @routes.post("/otp/verify")
    def verify_code() -> JsonObject:
        user_id = request_auth.current_user_id()
        credentials.verify_one_time_code(user_id, parse_json_body(_CODE_SCHEMA)["code"].strip())
        return {"success": True, "verified": True}

    return routes
