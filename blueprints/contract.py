"""What is promised of one route: who may call it, with what, and how it can end.

In    blueprints/routes.py: the table of all of them
Out   blueprints/openapi.py: the document; tests of authority
"""

from dataclasses import dataclass
from enum import StrEnum

from blueprints.schemas import Body


class Authority(StrEnum):
    OPEN = "open to everybody"
    USER = "any signed-in user"
    OWNER = "the user of the path, or the owner of the object"
    ADMIN = "administrators"
    OPERATOR = "administrators; in testing mode any signed-in user"
    SERVICE = "holders of a service key"
    TESTING = "any signed-in user; exists in testing mode only"


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    authority: Authority
    keys: str
    """The keys of a successful answer besides `success`; `?` marks one that may be absent."""
    may: str = ""
    """The refusals that do not follow from authority, body and path."""
    query: str = ""
    """Names, each with `:most` where it has a limit and `!` where it is needed."""
    body: type[Body] | None = None
    status: int = 200
    once: bool = False
    """Honours Idempotency-Key."""
    optional: bool = False
    """The body may be missing."""

    @property
    def takes_id(self) -> bool:
        return "{id}" in self.path

    def refusals(self) -> list[int]:
        """Every refusal that can occur, in order."""
        found = {int(one) for one in self.may.split()}
        if not self.path.startswith("/api/"):
            return sorted(found)
        found.add(503)
        if self.authority is not Authority.OPEN:
            found.add(401)
        if self.authority in (Authority.OWNER, Authority.ADMIN, Authority.OPERATOR):
            found.add(403)
        if self.authority not in (Authority.OPEN, Authority.SERVICE) and self.method != "GET":
            found.add(429)
        if self.body:
            found |= {400, 408, 413}
        if self.takes_id or self.query:
            found.add(400)
        if self.once:
            found |= {409, 422}
        return sorted(found)
