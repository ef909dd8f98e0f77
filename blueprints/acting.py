"""Who sends a form, what they wish, and where they were.

In    the session, the form
Out   the person, or Rejected; a way back
"""

from flask import redirect, request
from werkzeug.wrappers import Response

from app.actions import Wish
from app.domain.errors import Rejected
from app.stores.users import Mini
from blueprints import limits
from blueprints.signed_in import check_csrf, local, me


def acting() -> Mini:
    """Raises Rejected (401, 403): no form acts without its session and its CSRF field."""
    found = me()
    if found is None:
        raise Rejected("Please log in", "no_token", 401)
    check_csrf()
    limits().write(found.id)
    return found


def back() -> Response:
    return redirect(local(request.form.get("back")), 303)


def wish() -> Wish:
    return Wish.OFF if request.form.get("wish") == "off" else Wish.ON
