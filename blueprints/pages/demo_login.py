"""POST /enter-as-ada: logs in as the administrator of the demo, without a password. Testing mode only.

Each request counts as a registration from its address.
"""

from flask import Blueprint, redirect, session
from werkzeug.wrappers import Response

from app.accounts.authentication import AccountAuthentication
from app.accounts.rate_limits import RateLimits
from app.devtools.demo_people import DemoPeople
from blueprints.http.devices import RequestDevices
from blueprints.pages.page_session import start_session

TOUR_SESSION_KEY = "tour"
"""The session has the guided tour (jinja/static/tour/)."""


def blueprint(
    accounts: AccountAuthentication,
    devices: RequestDevices,
    rate_limits: RateLimits,
    demo_people: DemoPeople,
) -> Blueprint:
    routes = Blueprint("demo_login", __name__)

    @routes.post("/enter-as-ada")
    def enter_as_ada() -> Response:
        device = devices.current()
        rate_limits.count_registration(device.ip_address)
        account = demo_people.create_missing().administrator
        authenticated = accounts.open_session_without_password(account, device)
        devices.set_cookie(authenticated)
        start_session(account.id, authenticated.session_id)
        session[TOUR_SESSION_KEY] = True
        return redirect(f"/users/{account.username}#welcome", 303)

    return routes
