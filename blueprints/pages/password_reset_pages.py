"""Password reset through HTML forms: GET, POST /password/forgotten and /password/reset."""

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from app.accounts.credentials import PasswordsAndOneTimeCodes
from app.domain.errors import Rejected
from blueprints.api.passwords import RequestPasswordResetBody, ResetPasswordBody
from blueprints.http.devices import RequestDevices
from blueprints.http.schemas import validate_data

_RESET_REQUEST_SCHEMA, _RESET_SCHEMA = RequestPasswordResetBody(), ResetPasswordBody()
PageResponse = str | Response | tuple[str, int]


def blueprint(credentials: PasswordsAndOneTimeCodes, devices: RequestDevices) -> Blueprint:
    routes = Blueprint("password_reset_pages", __name__)

    @routes.get("/password/forgotten")
    def show_forgotten_password() -> PageResponse:
        return render_template("forgot_password.html", is_sent="sent" in request.args)

    @routes.post("/password/forgotten")
    def submit_reset_request() -> PageResponse:
        """The same answer whether or not there is such an account."""
        try:
            payload = validate_data(_RESET_REQUEST_SCHEMA, request.form.to_dict())
            credentials.request_password_reset(payload["email"], devices.current().ip_address)
        except Rejected as error:
            email = request.form.get("email", "")
            return render_template("forgot_password.html", error=str(error), email=email), error.status
        return redirect("/password/forgotten?sent", 303)

    @routes.get("/password/reset")
    def show_reset_form() -> PageResponse:
        return render_template("reset_password.html", token=request.args.get("token", ""))

    @routes.post("/password/reset")
    def submit_reset() -> PageResponse:
        try:
            payload = validate_data(_RESET_SCHEMA, request.form.to_dict())
            credentials.reset_password(payload["token"].strip(), payload["newPassword"])
        except Rejected as error:
            token = request.form.get("token", "")
            return render_template("reset_password.html", error=str(error), token=token), error.status
        return redirect("/login?reset", 303)

    return routes
