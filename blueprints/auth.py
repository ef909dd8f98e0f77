"""Register, log in, and who am I (API; the pages' own log-in is sessions.py).

In    POST /api/auth/register, /login; GET /api/auth/me
Out   app/accounts.py, app/tokens.py
"""

from flask import Blueprint

from app.accounts import Registration
from app.domain.errors import Rejected
from app.stores.users import Account, Users
from blueprints import accounts, parts, tokens
from blueprints.identity import person
from blueprints.schemas import LoginBody, RegisterBody, body
from blueprints.views import Json, account

blueprint = Blueprint("auth", __name__, url_prefix="/api/auth")
_REGISTER, _LOGIN = RegisterBody(), LoginBody()


@blueprint.post("/register")
def register() -> tuple[Json, int]:
    return _signed_in(accounts().register(Registration(**body(_REGISTER)))), 201


@blueprint.post("/login")
def login() -> Json:
    return _signed_in(accounts().log_in(**body(_LOGIN)))


@blueprint.get("/me")
def me() -> Json:
    found = Users(parts().engine).by_id(person())
    if found is None:
        raise Rejected("Invalid or expired token", "invalid_token", 401)
    return {"success": True, "user": account(found) | {"role": found.role}}


def _signed_in(found: Account) -> Json:
    return {"success": True, "user": account(found), "token": tokens().mint(found.id)}
