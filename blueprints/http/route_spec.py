"""The specification of one API route: who may call it, its parameters, body and responses.

blueprints/api/routes.py lists them all. The OpenAPI document and the authorization tests use them.
"""

from dataclasses import dataclass
from enum import StrEnum

from blueprints.http.schemas import RequestSchema


class RequiredAuthority(StrEnum):
    OPEN = "open to everybody"
    USER = "any signed-in user"
    OWNER = "the user of the path, or the owner of the object"
    ADMIN = "administrators"
    OPERATOR = "administrators; in testing mode any signed-in user"
    SERVICE = "holders of a service key"
    TESTING = "any signed-in user; exists in testing mode only"


@dataclass(frozen=True, slots=True)
class RouteSpec:
    method: str
    path: str
    authority: RequiredAuthority
    response_keys: str
    """The keys of a successful response besides `success`; `?` marks an optional one."""
    extra_error_statuses: str = ""
    """The error statuses that do not follow from authority, body and path."""
    query_params: str = ""
    """Names, each followed by `:maximum` if it has one and by `!` if it is required."""
    body_schema: type[RequestSchema] | None = None
    success_status: int = 200
    idempotent: bool = False
    """Supports Idempotency-Key."""
    body_optional: bool = False
    """The body may be missing."""

    @property
    def has_id_param(self) -> bool:
        return "{id}" in self.path

    def error_statuses(self) -> list[int]:
        """All possible error statuses, sorted."""
        statuses = {int(status_text) for status_text in self.extra_error_statuses.split()}
        if not self.path.startswith("/api/"):
            return sorted(statuses)
        statuses.add(503)
        if self.authority is not RequiredAuthority.OPEN:
            statuses.add(401)
        if self.authority in (
            RequiredAuthority.OWNER,
            RequiredAuthority.ADMIN,
            RequiredAuthority.OPERATOR,
        ):
            statuses.add(403)
        if self.authority not in (RequiredAuthority.OPEN, RequiredAuthority.SERVICE) and self.method != "GET":
            statuses.add(429)
        if self.body_schema:
            statuses |= {400, 408, 413}
        if self.has_id_param or self.query_params:
            statuses.add(400)
        if self.idempotent:
            statuses |= {409, 422}
        return sorted(statuses)
