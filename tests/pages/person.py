"""A person with an account, a page session and a token: what they do elsewhere, through the API.

ada = person("Ada")                     registers through the form, as a browser does
ada.posts("Hello"); ben.likes(post)     other people's doings, while a page of ours looks on
ada.call("PUT", "/api/...", {...})      anything else; raises if refused
"""

import http.cookiejar
import json
import re
import secrets
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

PASSWORD = "Passw0rd-of-tests"
_CSRF = re.compile(r'<meta name="csrf" content="([^"]+)"')


@dataclass
class Person:
    url: str
    name: str
    username: str
    email: str
    id: str = ""
    token: str = ""
    jar: http.cookiejar.CookieJar = field(default_factory=http.cookiejar.CookieJar, repr=False)

    @property
    def cookies(self) -> list[dict[str, str]]:
        """For a browser context."""
        return [{"name": one.name, "value": str(one.value), "url": self.url} for one in self.jar]

    def register(self) -> None:
        csrf = self._csrf("/register")
        self._send(
            "/register",
            data=urllib.parse.urlencode(
                {
                    "csrf": csrf,
                    "email": self.email,
                    "username": self.username,
                    "name": self.name,
                    "password": PASSWORD,
                }
            ).encode(),
        )
        headers = {"X-CSRF-Token": self._csrf("/"), "Accept": "application/json"}
        said = json.loads(self._send("/session/token", data=b"", headers=headers))
        self.id, self.token = said["userId"], said["token"]

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return dict(json.loads(self._send(path, data, headers, method)))

    def posts(self, caption: str, **more: str) -> str:
        """The id of the new post."""
        said = self.call("POST", "/api/posts", {"caption": caption} | more)
        return str(said["post"]["id"])

    def likes(self, post: str, on: bool = True) -> None:
        self.call("PUT" if on else "DELETE", f"/api/posts/{post}/like")

    def comments(self, post: str, content: str) -> str:
        said = self.call("POST", "/api/comments", {"postId": post, "content": content})
        return str(said["comment"]["id"])

    def replies(self, comment: str, content: str) -> str:
        said = self.call("POST", f"/api/comments/{comment}/reply", {"content": content})
        return str(said["comment"]["id"])

    def follows(self, other: "Person") -> None:
        self.call("PUT", f"/api/follows/{other.id}")

    def unread(self) -> int:
        return int(self.call("GET", f"/api/notifications/{self.id}/unread-count")["count"])

    def notifications(self) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/api/notifications/{self.id}")["notifications"])

    def _csrf(self, path: str) -> str:
        found = _CSRF.search(self._send(path).decode())
        assert found, f"no CSRF token on {path}"
        return found[1]

    def _send(
        self,
        path: str,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - our own address
            self.url + path, data, headers or {}, method=method
        )
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        with opener.open(request, timeout=60) as answer:
            return bytes(answer.read())


def newcomer(url: str, name: str) -> Person:
    """With a user name that nobody has yet."""
    username = f"{re.sub('[^a-z0-9]', '', name.lower())}_{secrets.token_hex(4)}"
    person = Person(url, name, username, f"{username}@example.org")
    person.register()
    return person
