"""Passwords and one-time codes: POST /api/auth/password, /password/reset-request, /password/reset,
/otp/request and /otp/verify.
"""

from marshmallow import fields, validate

from app.accounts.access_tokens import Claims
from app.accounts.credentials import PasswordsAndOneTimeCodes
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.devices import RequestDevices
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import MessageResponse, ResponseSchema
from blueprints.http.schemas import (
    MAX_RAW_PASSWORD_LENGTH,
    NewPasswordField,
    PasswordField,
    RequestSchema,
    SingleLineField,
    TextField,
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
    is_body_optional = True


class VerifyCodeBody(RequestSchema):
    required_message = "code required"
    code = TextField(required=True, validate=validate.Length(max=20))


class VerifiedResponse(ResponseSchema):
    verified = fields.Boolean()


def blueprint(
    request_auth: RequestAuth, devices: RequestDevices, credentials: PasswordsAndOneTimeCodes
) -> ApiBlueprint:
    routes = ApiBlueprint("passwords", __name__, url_prefix="/api/auth")

    @routes.post("/password")
    @requires(Authority.USER, request_auth.current_claims)
    @routes.arguments(ChangePasswordBody)
    @routes.returns(MessageResponse)
    def change_password(claims: Claims, body: JsonObject) -> JsonObject:
        """Change the password. Ends all other sessions."""
        credentials.change_password(claims, body["currentPassword"], body["newPassword"])
        return {"success": True, "message": "Password changed"}

    @routes.post("/password/reset-request")
    @routes.arguments(RequestPasswordResetBody)
    @routes.returns(MessageResponse, errors=(429,))
    def request_password_reset(body: JsonObject) -> JsonObject:
        """Send a reset token, if there is an account with this address."""
        credentials.request_password_reset(body["email"], devices.current().ip_address)
        return {
            "success": True,
            "message": "If there is an account with this address, a message is on its way",
        }

    @routes.post("/password/reset")
    @routes.arguments(ResetPasswordBody)
    @routes.returns(MessageResponse)
    def reset_password(body: JsonObject) -> JsonObject:
        """Set a new password with a reset token. Ends all sessions."""
        credentials.reset_password(body["token"], body["newPassword"])
        return {"success": True, "message": "Password reset"}

    @routes.post("/otp/request")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(EmptyBody)
    @routes.returns(MessageResponse)
    def request_code(user_id: str, _: JsonObject) -> JsonObject:
        """Send a one-time code to the signed-in user."""
        credentials.request_one_time_code(user_id, devices.current().ip_address)
        return {"success": True, "message": "A code is on its way"}

    @routes.post("/otp/verify")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(VerifyCodeBody)
    @routes.returns(VerifiedResponse)
    def verify_code(user_id: str, body: JsonObject) -> JsonObject:
        """Verify a one-time code."""
        credentials.verify_one_time_code(user_id, body["code"].strip())
        return {"success": True, "verified": True}

    return routes
