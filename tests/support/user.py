"""BrowserUser: a registered user with a session cookie and an access token, who acts through the API."""

import http.cookiejar
import json
import re
import secrets
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

PASSWORD = "Passw0rd-of-tests"
CHEAP_PATH = "/health"
"""Where the log-in form leads; the feed would take longer."""
_CSRF_META = re.compile(r'<meta name="csrf" content="([^"]+)"')


@dataclass
class BrowserUser:
    base_url: str
    name: str
    username: str
    email: str
    id: str = ""
    token: str = ""
    cookie_jar: http.cookiejar.CookieJar = field(default_factory=http.cookiejar.CookieJar, repr=False)
    _is_logged_in: bool = False

    @property
    def cookies(self) -> list[dict[str, str]]:
        """For a browser context. The first use logs in through the form, as a browser does."""
        if not self._is_logged_in:
            csrf_token = self._csrf_token("/login")
            form = {"csrf": csrf_token, "email": self.email, "password": PASSWORD, "next": CHEAP_PATH}
            self._send_request("/login", data=urllib.parse.urlencode(form).encode())
            self._is_logged_in = True
        return [
            {"name": cookie.name, "value": str(cookie.value), "url": self.base_url}
            for cookie in self.cookie_jar
        ]

    def register(self) -> None:
        """Also stores the cookie of the device, so that a log-in causes no alert."""
        body = {"email": self.email, "username": self.username, "name": self.name, "password": PASSWORD}
        response = self.call_api("POST", "/api/auth/register", body)
        self.id, self.token = response["user"]["id"], response["token"]

    def call_api(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Raises urllib.error.HTTPError if the response is not a success."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return dict(json.loads(self._send_request(path, data, headers, method)))

    def create_post(self, caption: str, **fields: str) -> str:
        """The id of the new post."""
        response = self.call_api("POST", "/api/posts", {"caption": caption} | fields)
        return str(response["post"]["id"])

    def like(self, post_id: str, is_liked: bool = True) -> None:
        self.call_api("PUT" if is_liked else "DELETE", f"/api/posts/{post_id}/like")

    def comment(self, post_id: str, content: str) -> str:
        response = self.call_api("POST", "/api/comments", {"postId": post_id, "content": content})
        return str(response["comment"]["id"])

    def reply(self, comment_id: str, content: str) -> str:
        response = self.call_api("POST", f"/api/comments/{comment_id}/reply", {"content": content})
        return str(response["comment"]["id"])

    def follow(self, other_user: "BrowserUser") -> None:
        self.call_api("PUT", f"/api/follows/{other_user.id}")

    def unread_count(self) -> int:
        return int(self.call_api("GET", f"/api/notifications/{self.id}/unread-count")["count"])

    def list_notifications(self) -> list[dict[str, Any]]:
        return list(self.call_api("GET", f"/api/notifications/{self.id}")["notifications"])

    def _csrf_token(self, path: str) -> str:
        match = _CSRF_META.search(self._send_request(path).decode())
        assert match, f"no CSRF token on {path}"
        return match[1]

    def _send_request(
        self,
        path: str,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - a local address
            self.base_url + path, data, headers or {}, method=method
        )
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookie_jar))
        with opener.open(request, timeout=60) as response:
            return bytes(response.read())


def register_browser_user(base_url: str, name: str) -> BrowserUser:
    """Registers a user with a unique user name."""
    username = f"{re.sub('[^a-z0-9]', '', name.lower())}_{secrets.token_hex(4)}"
    user = BrowserUser(base_url, name, username, f"{username}@example.org")
    user.register()
    return user
