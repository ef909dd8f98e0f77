"""A wish as app/actions.py asks for it."""

from app.stores.memberships import Asked, Memberships, Standing, Wish
from app.stores.subjects import PERSON, POST
from app.wiring import new_id


def likes(
    memberships: Memberships,
    actor: str,
    post: str,
    wish: Wish = Wish.ON,
    event_id: str = "",
    trace: str = "",
) -> Standing:
    return memberships.want(Asked(POST, actor, post, wish, event_id or new_id(), trace))


def follows(memberships: Memberships, actor: str, user: str, wish: Wish = Wish.ON) -> Standing:
    return memberships.want(Asked(PERSON, actor, user, wish, new_id(), ""))
