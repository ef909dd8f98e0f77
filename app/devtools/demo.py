"""Demo data: python -m app.devtools.demo, against a running system in testing mode (BASE_URL).

Asks the system for the people of the demo, who are created if they are not there
(app/devtools/demo_people.py). Prints their log-ins and the pages to open.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

REQUEST_TIMEOUT_SECONDS = 30


class DemoError(SystemExit):
    """Exits with a message and without a traceback."""


def request_demo_people(base_url: str) -> dict[str, Any]:
    """The response of POST /api/test/demo-people. Raises DemoError."""
    request = urllib.request.Request(f"{base_url}/api/test/demo-people", method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_SECONDS) as response:  # noqa: S310
            return dict(json.load(response))
    except urllib.error.HTTPError as exc:
        if exc.code == 404:
            raise DemoError("The demo needs APP_MODE=testing") from exc
        raise DemoError(f"The demo was not created: {exc.read().decode()[:200]}") from exc
    except OSError as exc:
        raise DemoError(f"No response from {base_url}. Start it with: make run") from exc


def main() -> int:
    base_url = os.environ.get("BASE_URL") or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
    base_url = base_url.rstrip("/")
    demo = request_demo_people(base_url)
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
