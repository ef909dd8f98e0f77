"""The device a log-in comes from: client address, user agent and the known-device cookie."""

from flask import Response, after_this_request, request

from app.accounts.authentication import AuthenticatedSession
from app.accounts.known_devices import COOKIE_MAX_AGE_SECONDS
from app.accounts.sessions import ClientDevice
from app.clients.client_ip import client_ip
from app.settings import WebSettings

DEVICE_COOKIE = "device"


class RequestDevices:
    def __init__(self, web_settings: WebSettings) -> None:
        self._trusted_proxies = web_settings.trusted_proxies
        self._is_secure = not web_settings.is_testing

    def current(self) -> ClientDevice:
        """The device of the current request."""
        environ = request.environ
        forwarded_for = environ.get("HTTP_X_FORWARDED_FOR", "")
        ip_address = client_ip(request.remote_addr or "unknown", forwarded_for, self._trusted_proxies)
        return ClientDevice(
            ip_address, environ.get("HTTP_USER_AGENT", ""), request.cookies.get(DEVICE_COOKIE, "")
        )

    def set_cookie(self, authenticated: AuthenticatedSession) -> None:
        """Adds the known-device cookie to the response of the current request."""

        def add_cookie(response: Response) -> Response:
            response.set_cookie(
                DEVICE_COOKIE,
                authenticated.device_cookie,
                max_age=COOKIE_MAX_AGE_SECONDS,
                httponly=True,
                samesite="Lax",
                secure=self._is_secure,
            )
            return response

        after_this_request(add_cookie)
