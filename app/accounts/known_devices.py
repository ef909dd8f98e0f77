"""Known devices: a signed cookie that lists the accounts a browser has logged in to.

Used by app/accounts/authentication.py for rate limits and alerts; blueprints/http/devices.py reads and
sets the cookie. The cookie grants no access and contains no secret.
"""

from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

from app.accounts.user_agents import UserAgent

COOKIE_MAX_AGE_SECONDS = 400 * 24 * 3600
"""The longest time browsers keep a cookie; each log-in renews it."""
MAX_ACCOUNTS_PER_COOKIE = 5
MAX_COOKIE_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A browser that has logged in to an account."""

    id: str
    browser: str
    operating_system: str

    def is_same_browser(self, user_agent: UserAgent) -> bool:
        """Whether the header names the same browser: a copied cookie is not valid in another one."""
        return bool(user_agent.browser) and (user_agent.browser, user_agent.operating_system) == (
            self.browser,
            self.operating_system,
        )


class KnownDeviceCookies:
    def __init__(self, secret_key: str) -> None:
        self._signer = URLSafeTimedSerializer(secret_key, salt="known-device")

    def find_device(self, cookie: str, user_id: str) -> KnownDevice | None:
        """The device, if the account has logged in on it."""
        fields = self._read_devices_by_user(cookie).get(user_id)
        return KnownDevice(*fields) if fields else None

    def build_cookie_with_device(self, cookie: str, user_id: str, device: KnownDevice) -> str:
        """The cookie with this account added; the account with the oldest log-in is dropped first."""
        devices_by_user = {
            known_user_id: fields
            for known_user_id, fields in self._read_devices_by_user(cookie).items()
            if known_user_id != user_id
        }
        devices_by_user[user_id] = [device.id, device.browser, device.operating_system]
        return str(self._signer.dumps(dict(list(devices_by_user.items())[-MAX_ACCOUNTS_PER_COOKIE:])))

    def _read_devices_by_user(self, cookie: str) -> dict[str, Any]:
        """Empty for a cookie with an invalid signature or an old one."""
        try:
            content = self._signer.loads(cookie[:MAX_COOKIE_LENGTH], max_age=COOKIE_MAX_AGE_SECONDS)
        except BadData:
            return {}
        return content if isinstance(content, dict) else {}
