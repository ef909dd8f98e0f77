"""Passwords and codes: change, reset, prove.

In    POST /api/auth/password, /password/reset-request, /password/reset, /otp/request, /otp/verify
Out   app/credentials.py
"""

from typing import cast

from flask import Blueprint, current_app
from marshmallow import validate

from app.credentials import Credentials
from blueprints.identity import claims, person, place
from blueprints.schemas import (
    MAX_TYPED_PASSWORD,
    Body,
    Line,
    NewPassword,
    Password,
    Text,
    body,
    email_form,
    password_rules,
)
from blueprints.views import Json

blueprint = Blueprint("passwords", __name__, url_prefix="/api/auth")
MAX_TOKEN = 200


class ChangeBody(Body):
    needed = "currentPassword and newPassword required"
    currentPassword = Password(required=True, validate=validate.Length(max=MAX_TYPED_PASSWORD))
    newPassword = NewPassword(required=True, validate=password_rules)


class ResetRequestBody(Body):
    needed = "Email required"
    email = Line(required=True, validate=email_form)


class ResetBody(Body):
    needed = "token and newPassword required"
    token = Text(required=True, validate=validate.Length(max=MAX_TOKEN))
    newPassword = NewPassword(required=True, validate=password_rules)


class NothingBody(Body):
    pass


class CodeBody(Body):
    needed = "code required"
    code = Text(required=True, validate=validate.Length(max=20))


_CHANGE, _REQUEST, _RESET = ChangeBody(), ResetRequestBody(), ResetBody()
_NOTHING, _CODE = NothingBody(), CodeBody()


@blueprint.post("/password")
def change() -> Json:
    asking, given = claims(), body(_CHANGE)
    credentials().change(asking, given["currentPassword"], given["newPassword"])
    return {"success": True, "message": "Password changed"}


@blueprint.post("/password/reset-request")
def reset_request() -> Json:
    credentials().request_reset(body(_REQUEST)["email"], place().address)
    return {
        "success": True,
        "message": "If there is an account with this address, a message is on its way",
    }


@blueprint.post("/password/reset")
def reset() -> Json:
    given = body(_RESET)
    credentials().reset(given["token"], given["newPassword"])
    return {"success": True, "message": "Password reset"}


@blueprint.post("/otp/request")
def otp_request() -> Json:
    asking = person()
    body(_NOTHING, optional=True)
    credentials().request_code(asking, place().address)
    return {"success": True, "message": "A code is on its way"}


@blueprint.post("/otp/verify")
def otp_verify() -> Json:
    asking = person()
    credentials().verify_code(asking, body(_CODE)["code"].strip())
    return {"success": True, "verified": True}


def credentials() -> Credentials:
    return cast("Credentials", current_app.extensions["credentials"])
