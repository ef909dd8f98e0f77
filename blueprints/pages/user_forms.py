"""HTML forms about users, for use without scripts: POST /users/:username/follow, /bell, /mute and /block;
/posts/:id/mute; /profile.
"""

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from app.ingest.actions import DesiredState
from app.social.mutes import MutesAndBlocks
from app.social.users import Users
from app.trace_context import get_or_create_traceparent
from blueprints.api.follows import FollowSwitches
from blueprints.api.users import ProfileBody
from blueprints.http.ids import parse_uuid
from blueprints.http.schemas import validate_data
from blueprints.http.write_actions import WriteActions
from blueprints.pages.form_auth import FormAuth, parse_desired_state, redirect_back

_PROFILE_SCHEMA = ProfileBody()


def blueprint(
    form_auth: FormAuth,
    write_actions: WriteActions,
    follow_switches: FollowSwitches,
    user_store: Users,
    mute_store: MutesAndBlocks,
) -> Blueprint:
    routes = Blueprint("user_forms", __name__)

    @routes.post("/users/<username>/follow")
    def submit_follow(username: str) -> Response:
        user = form_auth.require_user()
        follow_switches.set_follow(user.id, user_store.get_id_by_username(username), parse_desired_state())
        return redirect_back()

    @routes.post("/users/<username>/bell")
    def submit_post_alerts(username: str) -> Response:
        user = form_auth.require_user()
        target_id = user_store.get_id_by_username(username)
        follow_switches.set_post_alerts(user.id, target_id, parse_desired_state())
        return redirect_back()

    @routes.post("/users/<username>/mute")
    def submit_mute(username: str) -> Response:
        user = form_auth.require_user()
        target_id = user_store.get_id_by_username(username)
        mute_store.set_user_mute(user.id, target_id, parse_desired_state() is DesiredState.ON)
        return redirect_back()

    @routes.post("/users/<username>/block")
    def submit_block(username: str) -> Response:
        user = form_auth.require_user()
        target_id = user_store.get_id_by_username(username)
        if parse_desired_state() is DesiredState.ON:
            write_actions.checked().block_user(user.id, target_id, get_or_create_traceparent())
            return redirect("/preferences", 303)  # the previous page is hidden by the block
        write_actions.checked().unblock_user(user.id, target_id, get_or_create_traceparent())
        return redirect_back()

    @routes.post("/posts/<post_id>/mute")
    def submit_post_mute(post_id: str) -> Response:
        user = form_auth.require_user()
        mute_store.set_post_mute(user.id, parse_uuid(post_id), parse_desired_state() is DesiredState.ON)
        return redirect_back()

    @routes.post("/profile")
    def submit_profile() -> Response:
        """As in the API, an empty name is ignored and an empty bio is stored."""
        user = form_auth.require_user()
        payload = validate_data(_PROFILE_SCHEMA, request.form.to_dict())
        name = (payload.get("name") or "").strip() or None
        user_store.update_profile(user.id, name, payload.get("bio"), None)
        return redirect(f"/users/{user.username}", 303)

    return routes
