"""Known devices: a signed cookie says on which accounts a browser has logged in before.

In    app/accounts.py; the cookie travels with blueprints/identity.py
Out   for limits and alerts: a device's own id. The cookie lets nobody in, and holds no secret
"""

from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

from app.user_agents import UserAgent

MAX_AGE_SECONDS = 400 * 24 * 3600
"""As long as browsers keep a cookie; each log-in begins it anew."""
MAX_ACCOUNTS = 5
MAX_COOKIE = 2_000


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that logged in on an account."""

    id: str
    browser: str
    system: str

    def is_of(self, agent: UserAgent) -> bool:
        """Whether the header speaks of the same browser: a copied cookie does not vouch for
        another one."""
        return bool(agent.browser) and (agent.browser, agent.system) == (self.browser, self.system)


class Devices:
    def __init__(self, secret_key: str) -> None:
        self._signer = URLSafeTimedSerializer(secret_key, salt="known-device")

    def of(self, cookie: str, user_id: str) -> Device | None:
        """The device, if the account logged in on it."""
        kept = self._read(cookie).get(user_id)
        return Device(*kept) if kept else None

    def remembered(self, cookie: str, user_id: str, device: Device) -> str:
        """The cookie with this account in it; who logged in longest ago goes first."""
        kept = {one: values for one, values in self._read(cookie).items() if one != user_id}
        kept[user_id] = [device.id, device.browser, device.system]
        return str(self._signer.dumps(dict(list(kept.items())[-MAX_ACCOUNTS:])))

    def _read(self, cookie: str) -> dict[str, Any]:
        """Nothing for a cookie that is not ours or too old."""
        try:
            found = self._signer.loads(cookie[:MAX_COOKIE], max_age=MAX_AGE_SECONDS)
        except BadData:
            return {}
        return found if isinstance(found, dict) else {}
