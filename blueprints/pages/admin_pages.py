"""The dashboard, the database viewer and the storm: GET /dashboard, /database and /storm. Their figures come
from /api/*.

All need the administrator role. In testing mode any signed-in user may open the first two; the dashboard then
leaves out what needs the role. The storm exists in testing mode only.
"""

from flask import Blueprint, render_template

from app.devtools.storm import options as storm_options
from app.domain.errors import define_rejection
from app.domain.windows import AggregationRules
from app.operations.database_viewer import TABLE_VIEWS
from app.operations.mail_list import MAIL_STATUSES
from app.social.users import Account, Users
from blueprints.pages.notifications_page import KIND_LABELS
from blueprints.pages.page_session import PageSessions

ADMINISTRATORS_ONLY = define_rejection("Administrators only", "forbidden", 403)
TABLE_TITLES = {
    "notification-history": "Notification History",
    "likes": "Likes",
    "comments": "Comments",
    "follows": "Follows",
}


def blueprint(
    sessions: PageSessions, user_store: Users, is_testing: bool, rules: AggregationRules
) -> Blueprint:
    routes = Blueprint("admin_pages", __name__)

    @routes.app_template_global("aggregation_rules")
    def aggregation_rules() -> AggregationRules:
        """The window rules, from which the simulator page computes its hints."""
        return rules

    @routes.get("/dashboard")
    def show_dashboard() -> str:
        account = _require_admin_or_testing()
        is_admin = account.role == "admin"
        return render_template(
            "dashboard.html",
            is_admin=is_admin,
            email=account.email,
            mail_statuses=MAIL_STATUSES,
            kind_labels=KIND_LABELS,
        )

    @routes.get("/database")
    def show_database() -> str:
        _require_admin_or_testing()
        table_titles = {name: TABLE_TITLES[name] for name in TABLE_VIEWS}
        return render_template("database.html", table_titles=table_titles)

    if is_testing:

        @routes.get("/storm")
        def show_storm() -> str:
            if _require_admin_or_testing().role != "admin":
                raise ADMINISTRATORS_ONLY
            return render_template("storm.html", limits=storm_options)

    def _require_admin_or_testing() -> Account:
        """The signed-in user. Raises Rejected (403); anonymous users are redirected to /login."""
        account = user_store.find_account_by_id(sessions.require_user().id)
        if account is None or (account.role != "admin" and not is_testing):
            raise ADMINISTRATORS_ONLY
        return account

    return routes
