"""GET /api/figures: the figures of the pipeline that the front page shows to everybody."""

from marshmallow import fields

from app.operations.health.public_figures import PublicFiguresReader
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.response_schemas import ResponseSchema
from blueprints.http.serializers import JsonObject


class FiguresResponse(ResponseSchema):
    accepted = fields.Integer(allow_none=True, metadata={"description": "events"})
    waiting = fields.Integer(
        allow_none=True,
        metadata={"description": "events that are not written yet, measured every ten seconds"},
    )
    written = fields.Integer(allow_none=True, metadata={"description": "events in PostgreSQL"})
    delivered = fields.Integer(allow_none=True, metadata={"description": "messages to users"})
    openWindows = fields.Integer(allow_none=True)


def blueprint(public_figures: PublicFiguresReader) -> ApiBlueprint:
    routes = ApiBlueprint("figures", __name__, url_prefix="/api/figures")

    @routes.get("")
    @routes.returns(FiguresResponse)
    def get_figures() -> JsonObject:
        """Counts of the pipeline, at most two seconds old.

        Null: Redis does not respond; `waiting` also while no worker measures it.
        """
        figures = public_figures.read()
        return {
            "success": True,
            "accepted": figures.accepted,
            "waiting": figures.waiting,
            "written": figures.written,
            "delivered": figures.delivered,
            "openWindows": figures.open_windows,
        }

    return routes
