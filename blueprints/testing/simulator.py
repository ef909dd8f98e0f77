"""The simulator: POST /api/test/simulate-likes, -comments and -follows create users who act as real users
would; DELETE /api/test/cleanup removes them. Testing mode only.
"""

from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

from marshmallow import fields, validate

from app.accounts.passwords import PasswordHashing
from app.clients.request_deadline import reset_request_timeout_budget
from app.devtools.simulated_users import SimulatedUsers
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.domain.windows import AggregationRules
from app.ingest.actions import Actions, DesiredState
from app.social.posts import PostReader
from app.social.users import NewUser, Users
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import MessageResponse, ObjectSchema
from blueprints.http.schemas import RequestSchema, TextField
from blueprints.http.serializers import JsonObject
from blueprints.http.write_actions import WriteActions

MAX_SIMULATED_USERS = 50
TEST_USER_PASSWORD = "testpass123"  # noqa: S105 - the seed's, and these accounts exist in testing mode only
WITHDRAWAL_TIMEOUT_SECONDS = 3.0
# fmt: off
TEST_USER_NAMES = (
    "Alice", "Bob", "Charlie", "Diana", "Ethan", "Fiona", "George", "Hannah", "Ivan", "Julia",
    "Kevin", "Laura", "Mike", "Nina", "Oscar", "Paula", "Quentin", "Rachel", "Steve", "Tina",
    "Umar", "Vera", "Will", "Xenia", "Yusuf", "Zoe",
)
# fmt: on
COMMENT_TEXTS = (
    "Great post! 🔥",
    "Love this!",
    "So true.",
    "Amazing work 👏",
    "Thanks for sharing!",
    "This made my day.",
    "Interesting point of view.",
    "Could not agree more.",
)
UserAction = Callable[[Actions], object]


class SimulateFollowsBody(RequestSchema):
    required_message = "targetUserId is required"
    targetUserId = fields.UUID(required=True)
    count = fields.Integer(strict=True, load_default=5, validate=validate.Range(min=1))


class SimulatePostActivityBody(SimulateFollowsBody):
    required_message = "postId and targetUserId are required"
    postId = fields.UUID(required=True)
    simulationType = TextField(
        load_default="mixed", validate=validate.OneOf(["mixed", "followers", "non-followers"])
    )


class SimulatedActionSchema(ObjectSchema):
    userId = fields.UUID()
    username = fields.String()
    success = fields.Boolean()
    eventId = fields.UUID(allow_none=True)


class SimulatedLikeSchema(SimulatedActionSchema):
    isFollower = fields.Boolean()


class SimulationResponse(MessageResponse):
    results = fields.List(fields.Nested(SimulatedActionSchema))


class LikeStatsSchema(ObjectSchema):
    total = fields.Integer()
    followers = fields.Integer()
    nonFollowers = fields.Integer()


class LikeSimulationResponse(MessageResponse):
    deliveryType = fields.String(metadata={"example": "INSTANT"})
    results = fields.List(fields.Nested(SimulatedLikeSchema))
    stats = fields.Nested(LikeStatsSchema)


def _like_action(user_id: str, post_id: str, desired_state: DesiredState = DesiredState.ON) -> UserAction:
    return lambda actions: actions.set_like(user_id, post_id, desired_state)


def _follow_action(user_id: str, target_id: str, desired_state: DesiredState = DesiredState.ON) -> UserAction:
    return lambda actions: actions.set_follow(user_id, target_id, desired_state)


def _comment_action(user_id: str, post_id: str, content: str) -> UserAction:
    return lambda actions: actions.create_comment(user_id, post_id, content)


def _delete_comment_action(user_id: str, comment_id: str) -> UserAction:
    return lambda actions: actions.delete_comment(user_id, comment_id)


class Simulator:
    """Creates users, and acts for them through the same actions as real users."""

    def __init__(
        self,
        write_actions: WriteActions,
        simulated_users: SimulatedUsers,
        password_hashing: PasswordHashing,
        now: Callable[[], float],
    ) -> None:
        self._write_actions = write_actions
        self._simulated_users = simulated_users
        self._password_hashing = password_hashing
        self._now = now
        self._password_hash: str | None = None
        self._names = cycle(TEST_USER_NAMES)
        """Goes on from request to request, so that people of several requests have different names."""

    def create_users(self, count: int) -> list[NewUser]:
        """Creates accounts with the seed's names. They share one password hash, because hashing is
        slow by design."""
        if self._password_hash is None:
            self._password_hash = self._password_hashing.hash(TEST_USER_PASSWORD)
        now_ms = int(self._now() * 1000)
        users = [
            self._new_user(name, f"test_{name.lower()}_{now_ms}_{i}", self._password_hash)
            for i, name in enumerate(islice(self._names, count))
        ]
        self._simulated_users.create(users)
        return users

    def _new_user(self, name: str, username: str, password_hash: str) -> NewUser:
        return NewUser(
            id=self._write_actions.new_id(),
            email=f"{username}@test.local",
            username=username,
            name=f"{name} (Test)",
            password_hash=password_hash,
        )

    def run(self, *user_actions: UserAction) -> str | None:
        """Runs the actions in order and returns the event id of the last one, or None if one was
        refused."""
        event_ids: list[str] = []

        def record_new_id() -> str:
            event_ids.append(self._write_actions.new_id())
            return event_ids[-1]

        try:
            recording_actions = self._write_actions.checked().with_id_factory(record_new_id)
            for user_action in user_actions:
                user_action(recording_actions)
        except (Rejected, Unavailable):
            return None
        return event_ids[-1] if event_ids else None


def _result_json(user: NewUser, event_id: str | None) -> dict[str, Any]:
    payload = {"userId": user.id, "username": user.username}
    return payload | {"success": event_id is not None, "eventId": event_id}


def blueprint(
    request_auth: RequestAuth,
    simulator: Simulator,
    simulated_users: SimulatedUsers,
    post_store: PostReader,
    user_store: Users,
    window_rules: AggregationRules,
) -> ApiBlueprint:
    routes = ApiBlueprint("simulator", __name__, url_prefix="/api/test")

    @routes.post("/simulate-likes")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(SimulatePostActivityBody)
    @routes.returns(LikeSimulationResponse, errors=(404,))
    def simulate_likes(_: str, payload: JsonObject) -> JsonObject:
        """Simulated users like a post; followers follow its author first."""
        post = post_store.get(str(payload["postId"]))
        users = simulator.create_users(min(payload["count"], MAX_SIMULATED_USERS))
        follower_pattern = {"mixed": (True, False), "followers": (True,), "non-followers": (False,)}
        results = []
        for user, is_follower in zip(users, cycle(follower_pattern[payload["simulationType"]]), strict=False):
            preliminary_actions = (_follow_action(user.id, post.user_id),) if is_follower else ()
            event_id = simulator.run(*preliminary_actions, _like_action(user.id, post.id))
            results.append(_result_json(user, event_id) | {"isFollower": is_follower})
        followers = sum(bool(result["isFollower"]) for result in results)
        is_instant = len(users) <= window_rules.instant_likes
        delivery_type = "INSTANT" if is_instant else f"BATCHED (~{window_rules.window_seconds:g}s)"
        return {
            "success": True,
            "message": f"Created {len(users)} test likes ({delivery_type})",
            "deliveryType": delivery_type,
            "results": results,
            "stats": {
                "total": len(users),
                "followers": followers,
                "nonFollowers": len(users) - followers,
            },
        }

    @routes.post("/simulate-comments")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(SimulatePostActivityBody)
    @routes.returns(SimulationResponse, errors=(404,))
    def simulate_comments(_: str, payload: JsonObject) -> JsonObject:
        """Simulated users comment on a post."""
        post = post_store.get(str(payload["postId"]))
        users = simulator.create_users(min(payload["count"], MAX_SIMULATED_USERS))
        users_with_texts = zip(users, cycle(COMMENT_TEXTS), strict=False)
        results = [
            _result_json(user, simulator.run(_comment_action(user.id, post.id, content)))
            for user, content in users_with_texts
        ]
        return {
            "success": True,
            "message": f"Created {len(users)} test comments",
            "results": results,
        }

    @routes.post("/simulate-follows")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(SimulateFollowsBody)
    @routes.returns(SimulationResponse, errors=(404,))
    def simulate_follows(_: str, payload: JsonObject) -> JsonObject:
        """Simulated users follow a user."""
        target_id = str(payload["targetUserId"])
        if not user_store.exists(target_id):
            raise Rejected("Target user not found", "user_not_found", 404)
        users = simulator.create_users(min(payload["count"], MAX_SIMULATED_USERS))
        results = [_result_json(user, simulator.run(_follow_action(user.id, target_id))) for user in users]
        return {"success": True, "message": f"Created {len(users)} test follows", "results": results}

    @routes.delete("/cleanup")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(MessageResponse)
    def remove_simulated_users(_: str) -> JsonObject:
        """Delete all simulated users.

        They undo their actions before, so that counts, groups and unread counts are corrected by the
        pipeline.
        """
        removed = 0
        while user_ids := simulated_users.list_first_batch():
            reset_request_timeout_budget()
            for pair in simulated_users.list_memberships(Kind.LIKE, user_ids):
                simulator.run(_like_action(*pair, DesiredState.OFF))
            for pair in simulated_users.list_memberships(Kind.FOLLOW, user_ids):
                simulator.run(_follow_action(*pair, DesiredState.OFF))
            for pair in simulated_users.list_comments(user_ids):
                simulator.run(_delete_comment_action(*pair))
            simulated_users.wait_until_retracted(user_ids, WITHDRAWAL_TIMEOUT_SECONDS)
            removed += simulated_users.delete(user_ids)
        return {"success": True, "message": f"Cleaned up {removed} test users and their data"}

    return routes
