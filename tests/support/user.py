"""BrowserUser: a registered user with a session cookie and an access token, who acts through the API."""

import http.cookiejar
import json
import re
import secrets
import urllib.parse
import urllib.request
from dataclasses import dataclass
from functools import cached_property

from tests.support.http_client import HttpClient

PASSWORD = "Passw0rd-of-tests"
CHEAP_PATH = "/health"
"""Where the log-in form leads; the feed would take longer."""
_CSRF_META = re.compile(r'<meta name="csrf" content="([^"]+)"')


class FormSession:
    """Sends requests as a browser does, and keeps the cookies."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self.cookie_jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookie_jar))

    def read_csrf_token(self, path: str) -> str:
        match = _CSRF_META.search(self.send(path).decode())
        assert match, f"no CSRF token on {path}"
        return match[1]

    def send(self, path: str, data: bytes | None = None, **headers: str) -> bytes:
        request = urllib.request.Request(self._base_url + path, data, headers)  # noqa: S310 - a local address
        with self._opener.open(request, timeout=60) as response:
            return bytes(response.read())


@dataclass(frozen=True)
class BrowserUser(HttpClient):
    form_session: FormSession

    @cached_property
    def cookies(self) -> list[dict[str, str]]:
        """For a browser context. The first use logs in through the form, as a browser does."""
        csrf_token = self.form_session.read_csrf_token("/login")
        form = {"csrf": csrf_token, "email": self.email, "password": PASSWORD, "next": CHEAP_PATH}
        self.form_session.send("/login", urllib.parse.urlencode(form).encode())
        return [
            {"name": cookie.name, "value": str(cookie.value), "url": self.base_url}
            for cookie in self.form_session.cookie_jar
        ]

    def reply(self, comment_id: str, content: str) -> str:
        response = self.request_ok("POST", f"/api/comments/{comment_id}/reply", {"content": content})
        return str(response["comment"]["id"])


def register_browser_user(base_url: str, name: str) -> BrowserUser:
    """Registers a user with a unique user name. The session keeps the cookie of the device, so that a log-in
    causes no alert."""
    username = f"{re.sub('[^a-z0-9]', '', name.lower())[:20]}_{secrets.token_hex(4)}"
    email, form_session = f"{username}@example.org", FormSession(base_url)
    fields = {"email": email, "username": username, "name": name, "password": PASSWORD}
    headers = {"Content-Type": "application/json"}
    answer = json.loads(form_session.send("/api/auth/register", json.dumps(fields).encode(), **headers))
    return BrowserUser(base_url, answer["user"]["id"], name, username, email, answer["token"], form_session)
