"""Links in notifications and e-mails: the page of a notification, and the page that unsubscribes from a kind.

The unsubscribe link works without log-in and does not expire, so it is signed (itsdangerous, SECRET_KEY): it
names one user and one kind, and allows nothing else.
"""

import re
from collections.abc import Mapping
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from app.domain.errors import define_rejection
from app.domain.events import Kind

# As in jinja/static/notifications/normalize.js: metadata of an event must not choose another site.
_OWN_PATH = re.compile(r"/(posts|users|comments)/[^/\\\s][^\\\s]*")
INVALID_UNSUBSCRIBE_LINK = define_rejection(
    "This unsubscribe link is not valid. Use the link of a newer e-mail, or change your "
    "preferences after logging in.",
    "invalid_unsubscribe_link",
    404,
)


def notification_path(notification: Mapping[str, Any]) -> str:
    """The post, the comment, the new follower, or the page that ends what an alert warns of, for a
    notification row or client event."""
    metadata = notification.get("metadata") or {}
    url, comment_id = metadata.get("postUrl"), metadata.get("commentId")
    if isinstance(url, str) and _OWN_PATH.fullmatch(url):
        return url if "#" in url or not comment_id else f"{url}#comment-{comment_id}"
    if notification.get("targetType") == "POST" and notification.get("targetId"):
        return f"/posts/{notification['targetId']}"
    actors = notification.get("actors")
    if notification.get("type") == Kind.FOLLOW.value and actors:
        return f"/users/{actors[0]['username']}"
    return (
        "/password/forgotten" if notification.get("type") == Kind.SECURITY_ALERT.value else "/notifications"
    )


class NotificationLinks:
    """`public_url` has no trailing slash."""

    def __init__(self, secret: str, public_url: str) -> None:
        self._signer = URLSafeSerializer(secret, salt="unsubscribe")
        self._public_url = public_url

    def absolute_url(self, path: str) -> str:
        return f"{self._public_url}{path}"

    def unsubscribe_url(self, user_id: str, kind: Kind) -> str:
        return self.absolute_url(f"/unsubscribe/{self._signer.dumps([user_id, kind.value])}")

    def read_unsubscribe_token(self, token: str) -> tuple[str, Kind]:
        """(user_id, kind). Raises Rejected (404) for an invalid signature."""
        try:
            user_id, kind = self._signer.loads(token)
        except (BadSignature, ValueError, TypeError) as exc:
            raise INVALID_UNSUBSCRIBE_LINK from exc
        return str(user_id), Kind(kind)
