"""The actions of a user: what a write request of the API or of a page calls.

In: blueprints. Out: app/ingest/memberships.py (likes, follows), app/ingest/ingress.py (all other events).
"""

from app.ingest.membership_actions import MembershipActions
from app.ingest.memberships import DesiredState, MembershipState
from app.ingest.post_actions import PostActions

__all__ = ["Actions", "DesiredState", "MembershipState"]


class Actions(MembershipActions, PostActions):
    """All user actions. Each raises Rejected (invalid request) or Unavailable (try again later)."""
