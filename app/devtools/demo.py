"""Demo data: python -m app.devtools.demo, against a running system in testing mode (BASE_URL).

Does what *Enter as Ada* on the front page does, which creates the people of the demo if they are not there
(app/devtools/demo_people.py). Prints their log-ins and the pages to open.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

REQUEST_TIMEOUT_SECONDS = 30
_CSRF_TOKEN = re.compile(r'name="csrf" content="([^"]+)"')


class DemoError(SystemExit):
    """Exits with a message and without a traceback."""


class DemoClient:
    """A browser as far as the demo needs one: it keeps cookies and follows redirects."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def request_demo_people(self) -> dict[str, Any]:
        """The response of POST /api/test/demo-people, as the administrator of the demo. Raises DemoError."""
        front_page = self._send("GET", "/")
        profile = self._send("POST", "/enter-as-ada", {"csrf": _csrf_token(front_page)})
        session = json.loads(
            self._send("POST", "/session/token", headers={"X-CSRF-Token": _csrf_token(profile)})
        )
        headers = {"Authorization": f"Bearer {session['token']}"}
        return dict(json.loads(self._send("POST", "/api/test/demo-people", headers=headers)))

    def _send(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """The body of the response. Raises DemoError."""
        body = None if form is None else urllib.parse.urlencode(form).encode()
        url = f"{self._base_url}{path}"
        request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=REQUEST_TIMEOUT_SECONDS) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as exc:
            if exc.code == 404:
                raise DemoError("The demo needs APP_MODE=testing") from exc
            raise DemoError(f"The demo was not created: {exc.read().decode()[:200]}") from exc
        except OSError as exc:
            raise DemoError(f"No response from {self._base_url}. Start it with: make run") from exc


def _csrf_token(page: str) -> str:
    """Raises DemoError."""
    match = _CSRF_TOKEN.search(page)
    if match is None:
        raise DemoError("This is not the front page of Chime: check BASE_URL")
    return match[1]


def main() -> int:
    base_url = os.environ.get("BASE_URL") or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
    base_url = base_url.rstrip("/")
    demo = DemoClient(base_url).request_demo_people()
    people = demo["people"]
    print(f"\nUsers (password of all: {demo['password']})")
    for person in people:
        print(f"  {person['name']:<5} {person['email']}")
    administrator, other = people[:2]
    print(f"\nLog in at {base_url}/login as {administrator['name']}: there are notifications. Then open")
    for path in ("/", f"/posts/{demo['postIds'][0]}", f"/users/{other['username']}", "/notifications"):
        print(f"  {base_url}{path}")
    print(f"\n{administrator['name']} is an administrator: {base_url}/dashboard and {base_url}/database")
    print(f"In one click, with a guided tour: {base_url}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
