"""Links: the page a notification is about, and the page that ends e-mails of a kind.

In    workers/mailer.py, blueprints/inbox.py; blueprints/unsubscribe.py reads them
Out   paths of this site, URLs below PUBLIC_URL

The unsubscribe link works without log-in and does not expire, so it is signed (itsdangerous, with
SECRET_KEY): it names one person and one kind, and can do nothing else.
"""

import re
from collections.abc import Mapping
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from app.domain.errors import Rejected
from app.domain.events import Kind

# As jinja/static/bell/rows.js: where a link leads is not for the text of an event to choose.
_OWN_PATH = re.compile(r"/(posts|users|comments)/[^/\\\s][^\\\s]*")
INVALID = Rejected(
    "This unsubscribe link is not valid. Use the link of a newer e-mail, or change your "
    "preferences after logging in.",
    "invalid_unsubscribe_link",
    404,
)


def path_of(notification: Mapping[str, Any]) -> str:
    """Of a row or a frame: the post, the comment, or the new follower."""
    metadata = notification.get("metadata") or {}
    url, comment = metadata.get("postUrl"), metadata.get("commentId")
    if isinstance(url, str) and _OWN_PATH.fullmatch(url):
        return url if "#" in url or not comment else f"{url}#comment-{comment}"
    if notification.get("targetType") == "POST" and notification.get("targetId"):
        return f"/posts/{notification['targetId']}"
    actors = notification.get("actors")
    if notification.get("type") == Kind.FOLLOW.value and actors:
        return f"/users/{actors[0]['username']}"
    return "/notifications"


class Links:
    """`public_url` without a slash at its end."""

    def __init__(self, secret: str, public_url: str) -> None:
        self._signer = URLSafeSerializer(secret, salt="unsubscribe")
        self._public_url = public_url

    def page(self, path: str) -> str:
        return f"{self._public_url}{path}"

    def unsubscribe(self, user_id: str, kind: Kind) -> str:
        return self.page(f"/unsubscribe/{self._signer.dumps([user_id, kind.value])}")

    def read(self, token: str) -> tuple[str, Kind]:
        """Person and kind. Raises Rejected (404) for what we did not sign."""
        try:
            user_id, kind = self._signer.loads(token)
        except (BadSignature, ValueError, TypeError) as fault:
            raise INVALID from fault
        return str(user_id), Kind(kind)
