"""GET /openapi.json (OpenAPI 3.1) and GET /docs (the same as a page)."""

from collections.abc import Callable

from flask import render_template

from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.serializers import JsonObject


def blueprint(read_document: Callable[[], JsonObject]) -> ApiBlueprint:
    routes = ApiBlueprint("openapi", __name__)

    @routes.get("/openapi.json")
    @routes.returns({"type": "object"})
    def get_openapi_json() -> JsonObject:
        """This document."""
        return read_document()

    @routes.get("/docs")
    @routes.returns({"type": "string"}, content_type="text/html")
    def show_api_docs() -> str:
        """This document as a page."""
        return render_template("api_reference.html", openapi_document=read_document())

    return routes
