"""The session of the pages: Flask's signed cookie."""

from typing import NoReturn
from urllib.parse import quote

from flask import abort, redirect, request, session
from flask_wtf.csrf import generate_csrf

from app.accounts.sessions import Sessions
from app.social.users import Users, UserSummary

CSRF_FIELD = "csrf"
"""Of forms, and of the session that they belong to."""


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
    generate_csrf()  # several tabs may load their first page at the same time


def clear_session() -> None:
    """Keeps the CSRF token: several tabs may load the log-in page at the same time, and each of
    their forms must work."""
    for key in session.keys() - {CSRF_FIELD}:
        del session[key]


def safe_local_path(path: str | None, default: str = "/") -> str:
    """`path` if it is a path on this site, else `default`: prevents open redirects."""
    if not path or not path.startswith("/") or path.startswith("//"):
        return default
    if "\\" in path or any(ord(char) < 33 for char in path):
        return default
    return path
