"""Mutes and blocks.

In: requests of blueprints/api/mutes.py. Out: the tables mutes and blocks, which app/persistence/recipients.py
reads before announcing.

A mute affects future events only. A block also ends both follows and removes each user from the other's
groups, in one transaction under the recipient locks that the event writer takes.
"""

from dataclasses import dataclass

from sqlalchemy import Engine, TextClause, select, text

from app.clients.postgres import translate_errors
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Rejected, define_rejection
from app.persistence.actor_removal import ActorRemovalRequest, remove_actor_from_groups
from app.persistence.groups import lock_recipients
from app.persistence.pages import Page, PageRequest, fetch_page
from app.persistence.tables import blocks, mutes
from app.persistence.tables import users as users_table
from app.social import posts, users
from app.social.users import SUMMARY_COLUMNS, UserSummary

CANNOT_MUTE_SELF = define_rejection("Cannot mute yourself", "cannot_mute_self", 400)
CANNOT_BLOCK_SELF = define_rejection("Cannot block yourself", "cannot_block_self", 400)


@dataclass(frozen=True, slots=True)
class MutedEntry:
    """A muted user or a muted post."""

    user: UserSummary | None
    post_id: str | None


class MutesAndBlocks:
    def __init__(self, engine: Engine, clock: TimeAndIdSource) -> None:
        self._engine = engine
        self._clock = clock

    def set_user_mute(self, user_id: str, muted_user_id: str, muted: bool) -> None:
        """Raises Rejected (404)."""
        if user_id == muted_user_id:
            raise CANNOT_MUTE_SELF
        self._write_if_target_exists(
            _MUTE_USER if muted else _UNMUTE_USER,
            _USER_EXISTS,
            user_id,
            muted_user_id,
            users.NOT_FOUND,
        )

    def set_post_mute(self, user_id: str, post_id: str, muted: bool) -> None:
        """Raises Rejected (404)."""
        self._write_if_target_exists(
            _MUTE_POST if muted else _UNMUTE_POST, _POST_EXISTS, user_id, post_id, posts.NOT_FOUND
        )

    def raise_if_user_missing(self, user_id: str) -> None:
        """Raises Rejected (404)."""
        with translate_errors("find a user"), self._engine.connect() as conn:
            if conn.execute(_USER_EXISTS, {"other": user_id}).first() is None:
                raise users.NOT_FOUND

    def block_user(self, user_id: str, blocked_user_id: str) -> None:
        """Publishes client events for the groups that change. Raises Rejected (404)."""
        with translate_errors("block a user"), self._engine.begin() as conn:
            # Both users are locked, so that an account that is deleted meanwhile leaves no incomplete block.
            existing_ids = lock_recipients(conn, [user_id, blocked_user_id])
            if blocked_user_id not in existing_ids:
                raise users.NOT_FOUND
            if user_id not in existing_ids:
                return
            params = {"user": user_id, "other": blocked_user_id}
            for statement in (_BLOCK, _DEACTIVATE_FOLLOWS, _END_BELL_SUBSCRIPTIONS):
                conn.execute(statement, params)
            for actor_id, recipient_id in ((blocked_user_id, user_id), (user_id, blocked_user_id)):
                remove_actor_from_groups(conn, ActorRemovalRequest(actor_id, (recipient_id,)), self._clock)

    def unblock_user(self, user_id: str, blocked_user_id: str) -> None:
        self._write_if_target_exists(_UNBLOCK, _USER_EXISTS, user_id, blocked_user_id, users.NOT_FOUND)

    def _write_if_target_exists(
        self,
        statement: TextClause,
        existence_query: TextClause,
        user_id: str,
        other_id: str,
        not_found_error: type[Rejected],
    ) -> None:
        params = {"id": self._clock.new_id(), "user": user_id, "other": other_id}
        with translate_errors("store a mute or block"), self._engine.begin() as conn:
            if conn.execute(existence_query, {"other": other_id}).first() is None:
                raise not_found_error
            conn.execute(statement, params)

    def has_muted_user(self, user_id: str, muted_user_id: str) -> bool:
        params = {"user": user_id, "other": muted_user_id}
        with translate_errors("read mutes"), self._engine.connect() as conn:
            return conn.execute(_HAS_MUTED, params).first() is not None

    def list_muted(self, user_id: str, page: PageRequest) -> Page[MutedEntry]:
        """Newest first, users and posts together."""
        query = select(mutes.c.muted_post_id, *SUMMARY_COLUMNS).where(mutes.c.user_id == user_id)
        query = query.outerjoin(users_table, users_table.c.id == mutes.c.muted_user_id)
        sort_columns = (mutes.c.created_at, mutes.c.id)
        with translate_errors("list mutes"), self._engine.connect() as conn:
            return fetch_page(
                conn,
                query,
                sort_columns,
                page,
                lambda row: MutedEntry(UserSummary(*row[1:5]) if row[1] else None, row[0]),
            )

    def list_blocked(self, user_id: str, page: PageRequest) -> Page[UserSummary]:
        """Newest block first."""
        query = select(*SUMMARY_COLUMNS).where(blocks.c.user_id == user_id)
        query = query.join(blocks, users_table.c.id == blocks.c.blocked_user_id)
        sort_columns = (blocks.c.created_at, blocks.c.blocked_user_id)
        with translate_errors("list blocks"), self._engine.connect() as conn:
            return fetch_page(conn, query, sort_columns, page, lambda row: UserSummary(*row[:4]))


_USER_EXISTS = text("select 1 from users where id = :other")
_POST_EXISTS = text("select 1 from posts where id = :other")
_MUTE_USER = text(
    "insert into mutes (id, user_id, muted_user_id) select :id, u.id, o.id from users u, users o "
    "where u.id = :user and o.id = :other on conflict do nothing"
)
_UNMUTE_USER = text("delete from mutes where user_id = :user and muted_user_id = :other")
_MUTE_POST = text(
    "insert into mutes (id, user_id, muted_post_id) select :id, u.id, p.id from users u, posts p "
    "where u.id = :user and p.id = :other on conflict do nothing"
)
_UNMUTE_POST = text("delete from mutes where user_id = :user and muted_post_id = :other")
_BLOCK = text("insert into blocks (user_id, blocked_user_id) values (:user, :other) on conflict do nothing")
# The unfollow events of app/ingest/membership_actions.py may not be written yet, or a follow may have been
# accepted after them. The seq is one more than that of the follow, so that any later event is newer.
_DEACTIVATE_FOLLOWS = text("""
    with ended as (
        update follows set active = false, seq = seq + 1, updated_at = now()
        where active and (follower_id, following_id) in ((:user, :other), (:other, :user))
        returning following_id)
    update users set follower_count = greatest(0, follower_count - 1)
    where id in (select following_id from ended)
""")
_END_BELL_SUBSCRIPTIONS = text(
    "delete from bell_subscriptions "
    "where (subscriber_id, target_user_id) in ((:user, :other), (:other, :user))"
)
_UNBLOCK = text("delete from blocks where user_id = :user and blocked_user_id = :other")
_HAS_MUTED = text("select 1 from mutes where user_id = :user and muted_user_id = :other")
