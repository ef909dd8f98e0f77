"""One demo event to oneself, and the progress of events: POST /api/test/demo, GET /api/test/progress.
Testing mode only.
"""

from collections.abc import Callable

from marshmallow import fields, validate

from app.domain.errors import Unavailable
from app.domain.events import Event, Kind
from app.ingest.actions import Actions, DesiredState
from app.operations.trace import EventTraceReader
from app.persistence.pages import PageRequest
from app.social.posts import PostReader
from app.social.users import Users
from blueprints.api.posts import publish_post
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.query_fields import IdsParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import EventProgressSchema, ResponseSchema
from blueprints.http.schemas import RequestSchema, TextField
from blueprints.http.serializers import JsonObject
from blueprints.http.write_actions import WriteActions
from blueprints.testing.simulator import Simulator

MAX_EVENT_IDS = 50
DEMO_CAPTION = "A post to try things on"
DEMO_CODE_MESSAGE = "Your code is 123456. It opens nothing: this is a demonstration."
DEMO_TYPES = ("like", "comment", "follow", "otp")


class DemoEventBody(RequestSchema):
    required_message = "type required"
    type = TextField(required=True, validate=validate.OneOf(DEMO_TYPES))


class ProgressQuery(RequestSchema):
    required_message = "events required"
    events = IdsParam(MAX_EVENT_IDS, required=True)


class DemoEventResponse(ResponseSchema):
    type = fields.String(validate=validate.OneOf(DEMO_TYPES))
    eventId = fields.UUID()


class ProgressResponse(ResponseSchema):
    events = fields.List(fields.Nested(EventProgressSchema))


def blueprint(
    request_auth: RequestAuth,
    write_actions: WriteActions,
    simulator: Simulator,
    post_store: PostReader,
    user_store: Users,
    event_traces: EventTraceReader,
) -> ApiBlueprint:
    routes = ApiBlueprint("event_demo", __name__, url_prefix="/api/test")

    @routes.post("/demo")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(DemoEventBody)
    @routes.returns(DemoEventResponse)
    def trigger_demo_event(recipient_id: str, body: JsonObject) -> JsonObject:
        """A new simulated user likes, comments or follows, or a code is sent to the signed-in user."""
        kind = str(body["type"])
        event_id = (
            _send_demo_code(recipient_id)
            if kind == "otp"
            else simulator.run(_demo_action(kind, recipient_id))
        )
        if event_id is None:
            raise Unavailable("The event was not accepted, please retry", "busy")
        return {"success": True, "type": kind, "eventId": event_id}

    def _demo_action(kind: str, recipient_id: str) -> Callable[[Actions], object]:
        (demo_user,) = simulator.create_users(1)
        if kind == "follow":
            return lambda actions: actions.set_follow(demo_user.id, recipient_id, DesiredState.ON)
        post_id = _latest_post_id(recipient_id)
        if kind == "comment":
            return lambda actions: actions.create_comment(demo_user.id, post_id, "What a fine pipeline!")
        return lambda actions: actions.set_like(demo_user.id, post_id, DesiredState.ON)

    def _latest_post_id(author_id: str) -> str:
        """The author's newest post; creates one if there is none."""
        posts = post_store.list_newest(author_id, PageRequest(1)).items
        return (
            posts[0].id if posts else publish_post(user_store, write_actions, author_id, DEMO_CAPTION, None)
        )

    def _send_demo_code(recipient_id: str) -> str:
        event = Event(write_actions.new_id(), Kind.OTP, recipient_id, message=DEMO_CODE_MESSAGE)
        write_actions.checked().publish_event(event)
        return event.event_id

    @routes.get("/progress")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.arguments(ProgressQuery, location="query")
    @routes.returns(ProgressResponse)
    def get_event_progress(_: str, query: JsonObject) -> JsonObject:
        """The progress of events by their ids, as the simulator returned them."""
        statuses = event_traces.read_progress(query["events"])
        return {"success": True, "events": [status.to_dict() for status in statuses]}

    return routes
