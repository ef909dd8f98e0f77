"""Getting back in without the password, through pages.

In    GET, POST /password/forgotten, /password/reset
Out   app/credentials.py, as the API does
"""

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from app.domain.errors import Rejected
from blueprints.identity import place
from blueprints.passwords import ResetBody, ResetRequestBody, credentials
from blueprints.schemas import check
from blueprints.signed_in import check_csrf

blueprint = Blueprint("recovery", __name__)
_REQUEST, _RESET = ResetRequestBody(), ResetBody()
Page = str | Response | tuple[str, int]


@blueprint.get("/password/forgotten")
def forgotten() -> Page:
    return render_template("forgotten.html", sent="sent" in request.args)


@blueprint.post("/password/forgotten")
def ask() -> Page:
    """The same answer whether or not there is such an account."""
    check_csrf()
    try:
        given = check(_REQUEST, request.form.to_dict())
        credentials().request_reset(given["email"], place().address)
    except Rejected as fault:
        email = request.form.get("email", "")
        return render_template("forgotten.html", error=str(fault), email=email), fault.status
    return redirect("/password/forgotten?sent", 303)


@blueprint.get("/password/reset")
def reset_form() -> Page:
    return render_template("reset.html", token=request.args.get("token", ""))


@blueprint.post("/password/reset")
def reset() -> Page:
    check_csrf()
    try:
        given = check(_RESET, request.form.to_dict())
        credentials().reset(given["token"].strip(), given["newPassword"])
    except Rejected as fault:
        token = request.form.get("token", "")
        return render_template("reset.html", error=str(fault), token=token), fault.status
    return redirect("/login?reset", 303)
