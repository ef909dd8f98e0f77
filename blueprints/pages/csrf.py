"""CSRF protection of forms (Flask-WTF): a field, or the header X-CSRF-Token, has the token of the session.

The API needs none, because it takes no cookies.
"""

from collections.abc import Iterable

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

from blueprints.pages.page_session import CSRF_FIELD


def protect_forms(app: Flask, blueprints: Iterable[Blueprint]) -> None:
    """Each request of the blueprints that is no GET without a valid token raises CSRFError. Templates have
    csrf_token()."""
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,  # only these blueprints: it would cost each request of the API
        WTF_CSRF_FIELD_NAME=CSRF_FIELD,
        WTF_CSRF_SSL_STRICT=False,  # a proxy may end TLS, and the token is enough
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )
    csrf_protect = CSRFProtect(app)
    for blueprint in blueprints:
        blueprint.before_request(csrf_protect.protect)
