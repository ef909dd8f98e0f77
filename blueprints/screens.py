"""The screens of the operator: how the system does, and what is in its tables.

In    /dashboard, /database
Out   jinja/dashboard.html, jinja/database.html. Their figures come from /api/*, by its authority

In testing mode both open to everybody who is signed in; what needs the role is then left out of the
dashboard, with the sentence that says how one gets it. In production both need the role.
"""

from flask import Blueprint, render_template

from app.domain.errors import Rejected
from app.domain.windows import Rules
from app.stores.users import Account, Users
from app.stores.viewer import VIEWS
from blueprints import parts
from blueprints.signed_in import reader

blueprint = Blueprint("screens", __name__)
TITLES = {
    "notification-history": "Notification History",
    "likes": "Likes",
    "comments": "Comments",
    "follows": "Follows",
}


@blueprint.app_template_global("rules_of_aggregation")
def rules() -> Rules:
    """What the post tester's hints are computed from."""
    return parts().settings.rules


@blueprint.get("/dashboard")
def dashboard() -> str:
    account = _account()
    is_admin = account.role == "admin"
    return render_template("dashboard.html", is_admin=is_admin, email=account.email)


@blueprint.get("/database")
def database() -> str:
    _account()
    tabs = {name: TITLES[name] for name in VIEWS}
    return render_template("database.html", tabs=tabs)


def _account() -> Account:
    """Who looks. Raises Rejected (403); the anonymous are sent to /login and back."""
    found = Users(parts().engine).by_id(reader().id)
    if found is None or (found.role != "admin" and not parts().settings.web.testing):
        raise Rejected("Administrators only", "forbidden", 403)
    return found
