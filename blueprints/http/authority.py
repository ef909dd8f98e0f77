"""Who may call a route. One decorator enforces it and states it in the OpenAPI document."""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from blueprints.http.api_blueprint import View, add_documentation

Params = ParamSpec("Params")
Result = TypeVar("Result")
Caller = TypeVar("Caller")


class Authority(StrEnum):
    OPEN = "everybody"
    """Also of routes without `requires`."""
    USER = "any signed-in user"
    OWNER = "the user of the path, or the owner of the object"
    ADMIN = "administrators"
    OPERATOR = "administrators; in testing mode any signed-in user"
    SERVICE = "holders of a service key"


def requires(
    authority: Authority, identify_caller: Callable[[], Caller]
) -> Callable[[Callable[Concatenate[Caller, Params], Result]], Callable[Params, Result]]:
    """Passes what `identify_caller` returns to the view as its first argument.

    `identify_caller` raises Rejected (401, 403). It runs before the decorators below it, so before the body
    is read.
    """

    def decorate(view: Callable[Concatenate[Caller, Params], Result]) -> Callable[Params, Result]:
        @wraps(view)
        def authorized(*args: Params.args, **kwargs: Params.kwargs) -> Result:
            return view(identify_caller(), *args, **kwargs)

        return _note_authority(authorized, authority)

    return decorate


def requires_path_user(
    require_self: Callable[[str, str], str], forbidden_message: str
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """As `requires`, for routes whose path names a user: passes the id of that user, who must be the caller,
    in place of `user_id`. `require_self` is RequestAuth.require_self."""

    def decorate(view: Callable[..., Result]) -> Callable[..., Result]:
        @wraps(view)
        def authorized(*args: Any, user_id: str, **kwargs: Any) -> Result:
            return view(require_self(user_id, forbidden_message), *args, **kwargs)

        return _note_authority(authorized, Authority.OWNER)

    return decorate


def _note_authority(view: View, authority: Authority) -> View:
    return add_documentation(view, **{"x-authority": authority.name.lower()})
