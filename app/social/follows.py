"""Lists of followers and followed users, and bell subscriptions (notify me of each new post).

In: requests of blueprints/api/follows.py and blueprints/api/users.py. Out: rows of follows, which the event
writer writes, and of bell_subscriptions.

app/ingest/memberships.py answers whether one user follows another. A list consists of the rows, merged with
follows that are accepted and not written yet (app/persistence/pending_follows.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Engine, TextClause, text

from app.clients.postgres import translate_errors
from app.persistence.blocks import not_blocked_sql
from app.persistence.pages import Page, PageRequest, cut_page
from app.persistence.pending_follows import (
    PENDING_FOLLOWS_SQL,
    PendingFollow,
    pending_follow_params,
)
from app.social.users import UserSummary

FollowDirection = Literal["followers", "following"]
_COLUMNS_BY_DIRECTION: dict[FollowDirection, tuple[str, str]] = {
    "followers": ("follower_id", "following_id"),
    "following": ("following_id", "follower_id"),
}


@dataclass(frozen=True, slots=True)
class FollowEntry:
    """A follower or followed user, and since when."""

    user: UserSummary
    followed_at: datetime


class Follows:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_followers_or_following(
        self,
        direction: FollowDirection,
        user_id: str,
        page: PageRequest,
        viewer_id: str | None = None,
        pending_follows: Sequence[PendingFollow] = (),
    ) -> Page[FollowEntry]:
        """Newest first, without users that a block hides from the viewer."""
        after_followed_at, after_user_id = page.after_key or (None, None)
        values: dict[str, object] = {"user": user_id, "viewer": viewer_id, "limit": page.limit + 1}
        values |= {"after_followed_at": after_followed_at, "after_id": after_user_id}
        values |= pending_follow_params(pending_follows)
        statement = _LIST_STATEMENTS[direction, page.after_key is not None]
        with translate_errors("list follows"), self._engine.connect() as conn:
            rows = [FollowEntry(UserSummary(*row[:4]), row[4]) for row in conn.execute(statement, values)]
        return cut_page(rows, page.limit, lambda follow: (follow.followed_at, follow.user.id))

    def set_bell_subscription(self, subscriber_id: str, target_user_id: str, subscribed: bool) -> None:
        values = {"subscriber": subscriber_id, "target": target_user_id}
        with translate_errors("store a bell subscription"), self._engine.begin() as conn:
            conn.execute(_INSERT_BELL_SUBSCRIPTION if subscribed else _DELETE_BELL_SUBSCRIPTION, values)

    def list_bell_targets_among(self, subscriber_id: str | None, target_user_ids: Sequence[str]) -> set[str]:
        """The target users whose posts the subscriber is notified of."""
        if subscriber_id is None or not target_user_ids:
            return set()
        values = {"subscriber": subscriber_id, "targets": list(target_user_ids)}
        with translate_errors("read bell subscriptions"), self._engine.connect() as conn:
            return set(conn.execute(_SELECT_BELL_SUBSCRIBED, values).scalars())


# The time at which an event was accepted, as occurred_at_from_seq() of app/domain/events.py computes it. Its
# row will have it too.
_ACCEPTED_AT_SQL = "timestamptz 'epoch' + (p.seq / 1024) * interval '1 millisecond'"


def _list_follows_statement(direction: FollowDirection, has_cursor: bool) -> TextClause:
    """Rows without a newer event, and newer events that are active. Both parts are limited before they are
    combined, so that one page does not read the whole list."""
    other_column, own_column = _COLUMNS_BY_DIRECTION[direction]
    keyset_condition = (
        "where (since, other) < (:after_followed_at, cast(:after_id as uuid))" if has_cursor else ""
    )
    order_and_limit = "order by since desc, other desc limit :limit"
    return text(f"""
        with pending as (
            select distinct on (other) other, active, seq from {PENDING_FOLLOWS_SQL}
            order by other, seq desc),
        newer as (
            select p.other, p.active,
                coalesce(f.created_at, {_ACCEPTED_AT_SQL}) as since
            from pending p left join follows f on f.{own_column} = :user and f.{other_column} = p.other
                and f.active
            where not exists (select 1 from follows r
                where r.{own_column} = :user and r.{other_column} = p.other and r.seq >= p.seq)),
        page as (
            (select * from (select f.{other_column} as other, f.created_at as since from follows f
                where f.{own_column} = :user and f.active
                and not exists (select 1 from newer n where n.other = f.{other_column})
                and {not_blocked_sql(f"f.{other_column}")}) r {keyset_condition} {order_and_limit})
            union all
            (select * from (select n.other, n.since from newer n
                where n.active and {not_blocked_sql("n.other")}) r {keyset_condition} {order_and_limit}))
        select u.id::text, u.username, u.name, u.avatar_url, page.since
        from page join users u on u.id = page.other {order_and_limit}
    """)  # noqa: S608 - constants only


_LIST_STATEMENTS = {
    (direction, has_cursor): _list_follows_statement(direction, has_cursor)
    for direction in _COLUMNS_BY_DIRECTION
    for has_cursor in (False, True)
}
# Selected from users: if a user was deleted meanwhile, nothing is inserted and nothing fails.
_INSERT_BELL_SUBSCRIPTION = text(
    "insert into bell_subscriptions (subscriber_id, target_user_id) "
    "select s.id, t.id from users s, users t where s.id = :subscriber and t.id = :target "
    "on conflict do nothing"
)
_DELETE_BELL_SUBSCRIPTION = text(
    "delete from bell_subscriptions where subscriber_id = :subscriber and target_user_id = :target"
)
_SELECT_BELL_SUBSCRIBED = text(
    "select target_user_id::text from bell_subscriptions "
    "where subscriber_id = :subscriber and target_user_id = any(cast(:targets as uuid[]))"
)
