"""Demo data: python -m app.devtools.demo, against a running system (BASE_URL).

Uses the HTTP API like any client, and DATABASE_URL to create an administrator, which the API does not allow.
Output: users, posts, follows, likes and comments; prints their log-ins and the pages to open.
"""

import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from app.clients.postgres import create_pg_engine
from app.domain.errors import Unavailable
from app.setting_readers import SettingsError
from app.settings import load_database_url
from app.social.users import Users

PASSWORD = "Demo-2026-chime"  # noqa: S105 - shown to whoever runs the demo
USER_NAMES = ("Ada", "Ben", "Cem", "Dina", "Eli", "Fay", "Gus", "Hana")
CAPTIONS = (
    "First morning swim of the year. Cold, bright, worth it.",
    "Does anybody else name their sourdough starters?",
    "The old bridge is open again!",
    "Looking for a fourth player on Thursday evening.",
)
COMMENT_TEXTS = ("Lovely!", "Count me in.", "I was there too.", "Made my day.")


@dataclass(frozen=True, slots=True)
class DemoUser:
    id: str
    name: str
    email: str
    username: str
    token: str


class DemoError(SystemExit):
    """Exits with a message and without a traceback."""


class ApiClient:
    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    def request_json(self, method: str, path: str, token: str = "", body: Any = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own address
            self._base_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return dict(json.load(response))
        except urllib.error.HTTPError as exc:
            raise DemoError(f"{method} {path} failed: {exc.read().decode()[:200]}") from exc
        except OSError as exc:
            raise DemoError(f"No response from {self._base_url}. Start it with: make run") from exc

    def register_user(self, name: str, username_suffix: str) -> DemoUser:
        username = f"{name.lower()}_{username_suffix}"
        email = f"{username}@example.org"
        registration = {"email": email, "username": username, "name": name, "password": PASSWORD}
        response = self.request_json("POST", "/api/auth/register", body=registration)
        return DemoUser(response["user"]["id"], name, email, username, response["token"])


def main() -> int:
    base_url = os.environ.get("BASE_URL") or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
    api, username_suffix = ApiClient(base_url), secrets.token_hex(3)
    users = [api.register_user(name, username_suffix) for name in USER_NAMES]
    post_ids = _create_demo_content(api, users)
    print(f"\nUsers (password of all: {PASSWORD})")
    for user in users:
        print(f"  {user.name:<5} {user.email}")
    print(f"\nLog in at {base_url}/login as {users[0].name}: there are notifications. Then open")
    for path in ("/", f"/posts/{post_ids[0]}", f"/users/{users[1].username}", "/notifications"):
        print(f"  {base_url}{path}")
    if _try_promote_to_admin(users[0]):
        print(f"\n{users[0].name} is an administrator: {base_url}/dashboard and {base_url}/database")
    else:
        print(f"\n{base_url}/dashboard needs an administrator: python -m app.admin create-admin EMAIL")
    return 0


def _try_promote_to_admin(user: DemoUser) -> bool:
    """Returns False if DATABASE_URL is not the database behind the API."""
    try:
        users = Users(create_pg_engine(load_database_url(), application="demo"))
        stored_user = users.find_account_by_id(user.id)
        if stored_user is not None:
            users.promote_to_admin(user.id)
        return stored_user is not None
    except (SettingsError, Unavailable):
        return False


def _create_demo_content(api: ApiClient, users: list[DemoUser]) -> list[str]:
    """All users follow the first two; later posts have fewer likes and comments."""
    post_ids = []
    for index, caption in enumerate(CAPTIONS):
        response = api.request_json("POST", "/api/posts", users[index].token, {"caption": caption})
        post_ids.append(str(response["post"]["id"]))
    for user in users[2:]:
        for followed_user in users[:2]:
            api.request_json("PUT", f"/api/follows/{followed_user.id}", user.token)
    for index, post_id in enumerate(post_ids):
        for user in users[index + 1 :]:
            api.request_json("PUT", f"/api/posts/{post_id}/like", user.token)
        for user, comment_text in zip(users[4:], COMMENT_TEXTS[index:], strict=False):
            api.request_json(
                "POST", "/api/comments", user.token, {"postId": post_id, "content": comment_text}
            )
    return post_ids


if __name__ == "__main__":
    sys.exit(main())
