"""HTML forms: authentication, the desired state, and the redirect to the page of the form."""

from flask import redirect, request
from werkzeug.wrappers import Response

from app.accounts.rate_limits import RateLimits
from app.domain.errors import Rejected
from app.ingest.actions import DesiredState
from app.social.users import UserSummary
from blueprints.pages.page_session import PageSessions, safe_local_path


class FormAuth:
    def __init__(self, sessions: PageSessions, rate_limits: RateLimits) -> None:
        self._sessions = sessions
        self._rate_limits = rate_limits

    def require_user(self) -> UserSummary:
        """The user of the session. Counts the write towards the user's rate limit. Raises Rejected (401,
        429)."""
        user = self._sessions.current_user()
        if user is None:
            raise Rejected("Please log in", "no_token", 401)
        self._rate_limits.count_write_request(user.id)
        return user


def redirect_back() -> Response:
    return redirect(safe_local_path(request.form.get("return_path")), 303)


def parse_desired_state() -> DesiredState:
    return DesiredState.OFF if request.form.get("desired_state") == "off" else DesiredState.ON
