"""GET /openapi.json (OpenAPI 3.1), and the pages /docs (the same) and /docs/sockets (docs/socket-api.md)."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask import render_template

from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.markdown import RenderedDocument, render_document
from blueprints.http.serializers import JsonObject

SOCKET_API_PATH = Path(__file__).resolve().parents[2] / "docs" / "socket-api.md"


@dataclass(frozen=True, slots=True)
class OperationLink:
    method: str
    path: str
    summary: str
    operation_id: str


def _links_by_tag(document: JsonObject) -> dict[str, list[OperationLink]]:
    links: defaultdict[str, list[OperationLink]] = defaultdict(list)
    for path, path_item in document["paths"].items():
        for method, operation in path_item.items():
            if method == "parameters":
                continue
            link = OperationLink(method.upper(), path, operation["summary"], operation["operationId"])
            links[operation["tags"][0]].append(link)
    return links


def blueprint(read_document: Callable[[], JsonObject]) -> ApiBlueprint:
    routes = ApiBlueprint("openapi", __name__)
    socket_api: list[RenderedDocument] = []

    @routes.get("/openapi.json")
    @routes.returns({"type": "object"})
    def get_openapi_json() -> JsonObject:
        """This document."""
        return read_document()

    @routes.get("/docs")
    @routes.returns({"type": "string"}, content_type="text/html")
    def show_api_docs() -> str:
        """This document as a page, where requests can be tried."""
        document = read_document()
        return render_template(
            "api_reference.html", openapi_document=document, links_by_tag=_links_by_tag(document)
        )

    @routes.get("/docs/sockets")
    @routes.returns({"type": "string"}, content_type="text/html")
    def show_socket_docs() -> str:
        """The socket events as a page."""
        if not socket_api:
            socket_api.append(render_document(SOCKET_API_PATH.read_text()))
        return render_template("socket_reference.html", socket_api=socket_api[0])

    return routes
