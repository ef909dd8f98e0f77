"""BrowserUser: a registered user with a session cookie and an access token, who acts through the API."""

import http.cookiejar
import json
import re
import secrets
import urllib.parse
import urllib.request
from dataclasses import dataclass

from tests.support.http_client import HttpClient

PASSWORD = "Passw0rd-of-tests"
_CSRF_META = re.compile(r'<meta name="csrf" content="([^"]+)"')


@dataclass(frozen=True)
class BrowserUser(HttpClient):
    cookies: list[dict[str, str]]
    """For a browser context."""

    def reply(self, comment_id: str, content: str) -> str:
        response = self.request_ok("POST", f"/api/comments/{comment_id}/reply", {"content": content})
        return str(response["comment"]["id"])


class FormSession:
    """Submits forms as a browser does, and keeps the cookies."""

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


def register_browser_user(base_url: str, name: str) -> BrowserUser:
    """Registers a user with a unique user name through the form, then fetches an access token."""
    username = f"{re.sub('[^a-z0-9]', '', name.lower())}_{secrets.token_hex(4)}"
    email, session = f"{username}@example.org", FormSession(base_url)
    fields = {"email": email, "username": username, "name": name, "password": PASSWORD}
    fields["csrf"] = session.read_csrf_token("/register")
    session.send("/register", urllib.parse.urlencode(fields).encode())
    headers = {"X-CSRF-Token": session.read_csrf_token("/"), "Accept": "application/json"}
    token = json.loads(session.send("/session/token", b"", **headers))
    cookies = [
        {"name": cookie.name, "value": str(cookie.value), "url": base_url} for cookie in session.cookie_jar
    ]
    return BrowserUser(base_url, token["userId"], name, username, email, token["token"], cookies)
