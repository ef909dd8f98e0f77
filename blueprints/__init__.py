"""STOP 2. HTTP in: parse, call one action or store, shape the answer. No decisions.

In    app/web.py
Out   app/actions.py and app/stores/*, through the wired parts of the application
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app, g

if TYPE_CHECKING:
    from app.accounts import Accounts
    from app.actions import Actions
    from app.guard import Guard
    from app.limits import Limits
    from app.tokens import Tokens
    from app.wiring import Parts


_DRAWN = "drawn_ids"


def parts() -> "Parts":
    """The wired parts of the current application."""
    return cast("Parts", current_app.extensions["parts"])


def actions() -> "Actions":
    """For whoever wants to write. Raises Unavailable while Redis would throw writes away."""
    cast("Guard", current_app.extensions["guard"]).check()
    drawn: tuple[Callable[[], str], bool] | None = g.get(_DRAWN)
    return parts().actions if drawn is None else parts().actions.naming(*drawn)


def repeat_with(new_id: Callable[[], str], again: bool) -> None:
    """What this request does draws its ids here; `again`: it may have been done before."""
    setattr(g, _DRAWN, (new_id, again))


def drawn_id(new_id: Callable[[], str]) -> str:
    """An id for what a view makes by itself."""
    drawn: tuple[Callable[[], str], bool] | None = g.get(_DRAWN)
    return (new_id if drawn is None else drawn[0])()


def accounts() -> "Accounts":
    return cast("Accounts", current_app.extensions["accounts"])


def tokens() -> "Tokens":
    return cast("Tokens", current_app.extensions["tokens"])


def limits() -> "Limits":
    return cast("Limits", current_app.extensions["limits"])


def register(app: Flask) -> None:
    """The one list of blueprints."""
    from blueprints import (
        admin,
        auth,
        bookmarks,
        choices,
        comments,
        errors,
        events,
        follows,
        forms,
        frame,
        health,
        inbox,
        likes,
        marks,
        metrics,
        mutes,
        notifications,
        openapi,
        operations,
        pages,
        passwords,
        people_forms,
        pipeline,
        posts,
        preferences,
        profiles,
        queues,
        recovery,
        screens,
        sessions,
        simulate,
        switches,
        trials,
        unsubscribe,
        users,
    )

    errors.register(app)
    for module in (auth, posts, likes, comments, follows, users, notifications, events, admin):
        app.register_blueprint(module.blueprint)
    for module in (bookmarks, inbox, marks, mutes, preferences):
        app.register_blueprint(module.blueprint)
    for module in (
        health,
        metrics,
        openapi,
        operations,
        pipeline,
        queues,
        passwords,
        frame,
        pages,
        profiles,
        screens,
        sessions,
        forms,
        people_forms,
        choices,
        recovery,
        unsubscribe,
    ):
        app.register_blueprint(module.blueprint)
    if parts().settings.web.testing:
        for module in (simulate, trials, switches):
            app.register_blueprint(module.blueprint)
