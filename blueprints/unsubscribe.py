"""The page behind an e-mail's unsubscribe link. It works without log-in: the link is signed.

In    GET, POST /unsubscribe/:token (app/links.py makes it; RFC 8058: mail programs POST to it)
Out   the person's matrix of preferences: e-mails of that kind are off

GET changes nothing, because mail programs and scanners follow links. POST needs neither session nor
CSRF field: whoever has the link may do this one thing.
"""

from flask import Blueprint, render_template

from app.domain.events import Kind
from app.links import Links
from app.stores.preferences import PreferenceStore
from app.stores.users import Users
from blueprints import parts
from blueprints.choices import WORDS

blueprint = Blueprint("unsubscribe", __name__)


@blueprint.get("/unsubscribe/<token>")
def show(token: str) -> str:
    user_id, kind = _links().read(token)
    chosen = _preferences().of(user_id).values
    cells = chosen["matrix"].get(kind.value, {})
    return _page(user_id, kind, off=not (chosen["emailEnabled"] and cells.get("email", False)))


@blueprint.post("/unsubscribe/<token>")
def act(token: str) -> str:
    """Answers with a page and no redirect, as RFC 8058 wants."""
    user_id, kind = _links().read(token)
    _preferences().merge(user_id, {"matrix": {kind.value: {"email": False}}})
    return _page(user_id, kind, off=True)


def _page(user_id: str, kind: Kind, off: bool) -> str:
    person = Users(parts().engine).minis([user_id]).get(user_id)
    return render_template("unsubscribe.html", person=person, kind=WORDS[kind], off=off)


def _links() -> Links:
    settings = parts().settings
    return Links(settings.web.secret_key, settings.public_url)


def _preferences() -> PreferenceStore:
    return PreferenceStore(parts().engine, parts().clock)
