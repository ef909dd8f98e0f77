"""The session of the pages (Flask's signed cookie), and the CSRF token of forms."""

import hmac
import secrets
from typing import NoReturn
from urllib.parse import quote

from flask import abort, redirect, request, session

from app.accounts.sessions import Sessions
from app.domain.errors import Rejected
from app.social.users import Users, UserSummary

CSRF_HEADER = "X-CSRF-Token"


class PageSessions:
    def __init__(self, session_store: Sessions, user_store: Users) -> None:
        self._session_store = session_store
        self._user_store = user_store

    def current_user(self) -> UserSummary | None:
        """The signed-in user. Clears a session that was revoked or whose account is deleted."""
        user_id, session_id = session.get("user"), session.get("session")
        if not isinstance(user_id, str) or not isinstance(session_id, str):
            return None
        if not self._session_store.is_active(session_id):
            clear_session()
            return None
        user = self._user_store.get_summaries([user_id]).get(user_id)
        if user is None:
            clear_session()
        return user

    def require_user(self) -> UserSummary:
        """The signed-in user. Anonymous users are redirected to /login and back."""
        user = self.current_user()
        if user is None:
            _redirect_to_login()
        return user


def _redirect_to_login() -> NoReturn:
    return_path = request.full_path.rstrip("?") if request.method == "GET" else "/"
    abort(redirect(f"/login?next={quote(return_path, safe='/')}", 303))


def start_session(user_id: str, session_id: str) -> None:
    """Starts a new session, which prevents session fixation."""
    session.clear()
    session.permanent = True
    session["user"], session["session"] = user_id, session_id
    csrf_token()


def clear_session() -> None:
    """Keeps the CSRF token: several tabs may load the log-in page at the same time, and each of
    their forms must work."""
    token = csrf_token()
    session.clear()
    session["csrf"] = token


def csrf_token() -> str:
    """The CSRF token of this session's forms."""
    token = session.get("csrf")
    if not isinstance(token, str):
        token = session["csrf"] = secrets.token_urlsafe(24)
    return token


def check_csrf() -> None:
    """Raises Rejected (403)."""
    submitted = request.form.get("csrf") or request.headers.get(CSRF_HEADER, "")
    expected = session.get("csrf")
    if not isinstance(expected, str) or not hmac.compare_digest(expected.encode(), submitted.encode()):
        raise Rejected("This form is too old; please load the page again", "csrf", 403)


def safe_local_path(path: str | None, default: str = "/") -> str:
    """`path` if it is a path on this site, else `default`: prevents open redirects."""
    if not path or not path.startswith("/") or path.startswith("//"):
        return default
    if "\\" in path or any(ord(char) < 33 for char in path):
        return default
    return path
