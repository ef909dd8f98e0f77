"""POST /api/test/demo-people: the people of the demo and how to log in as them. Testing mode only.

Each request counts as a registration from its address.
"""

from marshmallow import fields

from app.accounts.rate_limits import RateLimits
from app.devtools.demo_people import PASSWORD, DemoPeople
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.devices import RequestDevices
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, ResponseSchema
from blueprints.http.serializers import JsonObject


class DemoPersonSchema(ObjectSchema):
    id = fields.UUID()
    name = fields.String()
    username = fields.String()
    email = fields.String()


class DemoPeopleResponse(ResponseSchema):
    people = fields.List(
        fields.Nested(DemoPersonSchema), metadata={"description": "the first is an administrator"}
    )
    password = fields.String(metadata={"description": "of all"})
    postIds = fields.List(fields.UUID())


def blueprint(
    request_auth: RequestAuth, devices: RequestDevices, rate_limits: RateLimits, demo_people: DemoPeople
) -> ApiBlueprint:
    routes = ApiBlueprint("demo_people", __name__, url_prefix="/api/test")

    @routes.post("/demo-people")
    @requires(Authority.USER, request_auth.current_user_id)
    @routes.returns(DemoPeopleResponse, errors=(409, 429))
    def create_demo_people(_: str) -> JsonObject:
        """Create the people of the demo and their posts, as far as they are not there."""
        rate_limits.count_registration(devices.current().ip_address)
        demo = demo_people.create_missing()
        return {
            "success": True,
            "people": [
                {"id": account.id, "name": account.name, "username": account.username, "email": account.email}
                for account in demo.accounts
            ],
            "password": PASSWORD,
            "postIds": demo.post_ids,
        }

    return routes
