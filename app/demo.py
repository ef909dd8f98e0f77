"""A lively feed in a few seconds: python -m app.demo, against a running system (BASE_URL).

In    the HTTP API, as any client uses it; DATABASE_URL for one thing that it refuses: an
      administrator
Out   people, posts, follows, likes and comments; their log-ins and the pages to open
"""

import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from app.domain.errors import Unavailable
from app.settings import BadSetting, database_url
from app.stores.postgres import engine
from app.stores.users import Users

PASSWORD = "Demo-2026-chime"  # noqa: S105 - shown to whoever runs the demo
NAMES = ("Ada", "Ben", "Cem", "Dina", "Eli", "Fay", "Gus", "Hana")
CAPTIONS = (
    "First morning swim of the year. Cold, bright, worth it.",
    "Does anybody else name their sourdough starters?",
    "The old bridge is open again!",
    "Looking for a fourth player on Thursday evening.",
)
REMARKS = ("Lovely!", "Count me in.", "I was there too.", "Made my day.")


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    email: str
    username: str
    token: str


class Away(SystemExit):
    """The system does not answer: one sentence, no stack."""


class Api:
    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")

    def call(self, method: str, path: str, token: str = "", body: Any = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own address
            self._base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as fault:
            raise Away(f"{method} {path} was refused: {fault.read().decode()[:200]}") from fault
        except OSError as fault:
            raise Away(f"Nothing answers at {self._base}. Start it with: make run") from fault

    def register(self, name: str, mark: str) -> Person:
        username = f"{name.lower()}_{mark}"
        email = f"{username}@example.org"
        wanted = {"email": email, "username": username, "name": name, "password": PASSWORD}
        said = self.call("POST", "/api/auth/register", body=wanted)
        return Person(said["user"]["id"], name, email, username, said["token"])


def main() -> int:
    base = os.environ.get("BASE_URL") or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
    api, mark = Api(base), secrets.token_hex(3)
    people = [api.register(name, mark) for name in NAMES]
    posts = _fill(api, people)
    print(f"\nPeople (password of all: {PASSWORD})")
    for person in people:
        print(f"  {person.name:<5} {person.email}")
    print(f"\nLog in at {base}/login as {people[0].name}: the bell has news. Then open")
    for path in ("/", f"/posts/{posts[0]}", f"/users/{people[1].username}", "/notifications"):
        print(f"  {base}{path}")
    if _promote(people[0]):
        print(f"\n{people[0].name} is an administrator: {base}/dashboard and {base}/database")
    else:
        print(f"\n{base}/dashboard wants an administrator: python -m app.admin create-admin EMAIL")
    return 0


def _promote(person: Person) -> bool:
    """Makes an administrator of them, if the database at hand is the one behind the API."""
    try:
        users = Users(engine(database_url(), name="demo"))
        known = users.by_id(person.id)
        if known is not None:
            users.promote(person.id)
        return known is not None
    except (BadSetting, Unavailable):
        return False


def _fill(api: Api, people: list[Person]) -> list[str]:
    """Everybody follows the first two; likes and comments thin out from post to post."""
    posts = []
    for place, caption in enumerate(CAPTIONS):
        said = api.call("POST", "/api/posts", people[place].token, {"caption": caption})
        posts.append(str(said["post"]["id"]))
    for person in people[2:]:
        for followed in people[:2]:
            api.call("PUT", f"/api/follows/{followed.id}", person.token)
    for place, post in enumerate(posts):
        for person in people[place + 1 :]:
            api.call("PUT", f"/api/posts/{post}/like", person.token)
        for person, remark in zip(people[4:], REMARKS[place:], strict=False):
            api.call("POST", "/api/comments", person.token, {"postId": post, "content": remark})
    return posts


if __name__ == "__main__":
    sys.exit(main())
