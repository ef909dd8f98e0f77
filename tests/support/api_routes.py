"""All routes of the API, from the OpenAPI document of an application on fakes; the expected status for each
caller, and valid requests.

Names in braces in paths are fields of RouteTestData (tests/support/real_store_app.py): the owner has the
post, the comment and the notification row; `unknown` is an id of nothing.
"""

import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.fake_app import build_fake_application, load_fake_settings

CALLERS = ("anonymous", "other", "owner", "admin")
_FIELD_BY_PATH_PARAM = {
    "user_id": "owner",
    "post_id": "post",
    "comment_id": "comment",
    "notification_id": "row",
    "event_id": "unknown",
    "name": "view",
    "service": "service",
}
_REQUIRED_QUERY = {"q": "owner", "postId": "{post}", "userId": "{owner}", "events": "{unknown}"}
_NOT_TO_ONESELF = re.compile(r"\w+ /api/(follows|mutes/users)/\{owner\}|PUT /api/blocks/\{owner\}")
_REFUSED_HERE = {
    "POST /api/auth/password/reset": 400,  # the token is unknown
    "POST /api/auth/otp/verify": 400,  # the code is unknown
    "PUT /api/follows/{owner}/bell": 400,  # nobody follows
    "POST /api/follows/{owner}/bell": 400,
    "GET /api/admin/trace/{unknown}": 404,
}
"""Statuses of requests that are allowed and cannot succeed with the data of these tests."""


@dataclass(frozen=True)
class ApiRoute:
    method: str
    path: str
    """With names of RouteTestData in braces, and the query parameters that are required."""
    document_path: str
    operation: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"

    @property
    def authority(self) -> str:
        return str(self.operation["x-authority"])

    @property
    def success_status(self) -> int:
        return min(map(int, self.operation["responses"]))

    def expected_status(self, caller: str) -> int:
        """The status for a caller, while all services are available."""
        if caller == "anonymous" and self.authority != "open":
            return 401
        if self.authority == "service":
            return 401
        if (self.authority == "owner" and caller != "owner") or (
            self.authority == "admin" and caller != "admin"
        ):
            return 403
        if caller == "owner" and _NOT_TO_ONESELF.fullmatch(str(self)):
            return 400
        return _REFUSED_HERE.get(str(self), self.success_status)


@cache
def openapi_document() -> dict[str, Any]:
    return _fake_app_and_document()[1]


@cache
def api_routes() -> tuple[ApiRoute, ...]:
    app, document = _fake_app_and_document()
    return tuple(
        _api_route(rule.rule, method, document)
        for rule in app.url_map.iter_rules()
        if rule.endpoint in app.view_functions and hasattr(app.view_functions[rule.endpoint], "_apidoc")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    )


@cache
def _fake_app_and_document() -> tuple[Any, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as data_dir:
        app = build_fake_application(load_fake_settings(Path(data_dir))).web_application.flask_app
        document: Any = app.test_client().get("/openapi.json").json
    return app, document


def _api_route(rule: str, method: str, document: dict[str, Any]) -> ApiRoute:
    document_path = re.sub(r"<(\w+)>", r"{\1}", re.sub(r"<\w+_id>", "{id}", rule))
    operation = document["paths"][document_path][method.lower()]
    required = [
        f"{parameter['name']}={_REQUIRED_QUERY[parameter['name']]}"
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and parameter["required"]
    ]
    path = re.sub(r"<(\w+)>", lambda match: f"{{{_FIELD_BY_PATH_PARAM[match[1]]}}}", rule)
    return ApiRoute(method, "?".join([path, *required]), document_path, operation)


def request_bodies(route_data: Any) -> dict[str, Any]:
    """Valid request bodies of the routes that need one."""
    password = "Passw0rd"
    new_username = f"new_{route_data.unknown[-12:]}"
    simulation_body = {"postId": route_data.post, "targetUserId": route_data.owner, "count": 1}
    ids = {"ids": [route_data.unknown]}
    bodies = {
        "POST /api/auth/register": {
            "email": f"{new_username}@example.org",
            "username": new_username,
            "password": password,
        },
        "POST /api/auth/login": {"email": route_data.email, "password": password},
        "POST /api/auth/password": {"currentPassword": password, "newPassword": "An0ther-one"},
        "POST /api/auth/password/reset-request": {"email": route_data.email},
        "POST /api/auth/password/reset": {"token": "unknown", "newPassword": "An0ther-one"},
        "POST /api/auth/otp/verify": {"code": "000000"},
        "PATCH /api/users/{owner}": {"bio": "Hello"},
        "DELETE /api/users/{owner}": {"password": password},
        "PATCH /api/notifications/{owner}/unread-all": {"readAt": "2026-01-01T00:00:00.000Z"},
        "POST /api/posts": {"caption": "Hello"},
        "POST /api/comments": {"postId": route_data.post, "content": "Hi"},
        "POST /api/comments/{comment}/reply": {"content": "Hi"},
        "PUT /api/preferences/{owner}": {"social": False},
        "PATCH /api/preferences/{owner}": {"social": False},
        "POST /api/test/simulate-follows": {"targetUserId": route_data.owner, "count": 1},
    }
    bodies |= {
        "POST /api/test/demo": {"type": "otp"},
        "POST /api/test/services/{service}": {"verb": "resume"},  # the service runs, so nothing changes
    }
    event = {"type": "OTP", "targetId": route_data.owner}
    bodies |= dict.fromkeys(("POST /api/events", "POST /api/events/trigger"), event)
    bodies |= {f"POST /api/test/simulate-{kind}": simulation_body for kind in ("likes", "comments")}
    queue_actions = [
        (queue, action) for queue in ("fallback", "dead-letters") for action in ("replay", "discard")
    ]
    return bodies | {f"POST /api/admin/{queue}/{action}": ids for queue, action in queue_actions}
