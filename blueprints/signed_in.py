"""Who looks at a page: the signed cookie, and the CSRF field of each form.

In    Flask's session (HttpOnly, SameSite=Lax)
Out   the person, or a way to /login and back
"""

import hmac
import secrets
from typing import NoReturn
from urllib.parse import quote

from flask import abort, redirect, request, session

from app.domain.errors import Rejected
from app.stores.sessions import Sessions
from app.stores.users import Mini, Users
from blueprints import parts

CSRF_HEADER = "X-CSRF-Token"


def me() -> Mini | None:
    user_id, session_id = session.get("user"), session.get("session")
    if not isinstance(user_id, str) or not isinstance(session_id, str):
        return None
    if not Sessions(parts().engine).stands(session_id):
        sign_out()  # ended elsewhere: logged out everywhere, or another password
        return None
    found = Users(parts().engine).minis([user_id]).get(user_id)
    if found is None:
        sign_out()  # the account is gone
    return found


def reader() -> Mini:
    """The signed-in person; the anonymous are sent to /login and come back."""
    found = me()
    if found is None:
        _to_login()
    return found


def _to_login() -> NoReturn:
    back = request.full_path.rstrip("?") if request.method == "GET" else "/"
    abort(redirect(f"/login?next={quote(back, safe='/')}", 303))


def sign_in(user_id: str, session_id: str) -> None:
    """A fresh session: one that was planted before the log-in is worth nothing after it."""
    session.clear()
    session.permanent = True
    session["user"], session["session"] = user_id, session_id
    csrf()


def sign_out() -> None:
    """The CSRF field stays until somebody logs in: all tabs ask for the log-in page at the same
    time, and whichever answer comes last, each form must be good."""
    kept = csrf()
    session.clear()
    session["csrf"] = kept


def csrf() -> str:
    """The token that this session's forms carry."""
    kept = session.get("csrf")
    if not isinstance(kept, str):
        kept = session["csrf"] = secrets.token_urlsafe(24)
    return kept


def check_csrf() -> None:
    """Raises Rejected (403)."""
    given = request.form.get("csrf") or request.headers.get(CSRF_HEADER, "")
    kept = session.get("csrf")
    if not isinstance(kept, str) or not hmac.compare_digest(kept.encode(), given.encode()):
        raise Rejected("This form is too old; please load the page again", "csrf", 403)


def local(path: str | None, otherwise: str = "/") -> str:
    """A path on this site, or `otherwise`: a link to log in must not lead elsewhere."""
    if not path or not path.startswith("/") or path.startswith("//"):
        return otherwise
    if "\\" in path or any(ord(letter) < 33 for letter in path):
        return otherwise
    return path
