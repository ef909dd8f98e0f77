"""Deletes posts and accounts, with the notifications about them.

In: requests of blueprints/api/posts.py and blueprints/api/users.py. Out: deleted rows, client events for the
notifications that are removed or change, and updates of Redis counts and memberships.

An interrupted deletion is completed by repeating the request. The Redis updates are queued in the same
transaction (app/persistence/pending_cache_updates.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import redis
from sqlalchemy import Connection, Engine, TextClause, text

from app.clients.postgres import translate_errors
from app.clients.redis import CLUSTER_TAGS, redis_key
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Unavailable, define_rejection
from app.domain.events import Event, Kind
from app.domain.grouping import ClientEventType
from app.persistence import membership_keys
from app.persistence.actor_removal import ActorRemovalRequest, remove_actor_from_groups
from app.persistence.fan_outs import (
    MANY_RECIPIENTS,
    Audience,
    has_unfinished_withdrawal,
    insert_fan_out,
)
from app.persistence.groups import lock_recipients
from app.persistence.pending_cache_updates import PendingRedisUpdate, RedisUpdateQueue
from app.persistence.row_updates import NotificationRowUpdate, publish_row_updates
from app.social import posts, users

NOT_POST_OWNER = define_rejection("Cannot delete another user's post", "forbidden", 403)
MAX_ATTEMPTS = 5
RECIPIENT_BATCH_SIZE = 200
MAX_SUBSCRIBERS_AT_ONCE = 200
"""Notifications of subscribers that the deletion of a post withdraws itself; more are left to a fan-out."""
RunRedisUpdate = Callable[[Callable[[], None]], None]
"""Runs a Redis update. While Redis is unavailable, prevents reads of the outdated values."""


@dataclass(frozen=True, slots=True)
class PostNotification:
    """A notification about a post, which is deleted with the post."""

    id: str
    recipient_id: str
    is_visible: bool


def run_redis_update_now(action: Callable[[], None]) -> None:
    action()


class PostAndAccountRemoval:
    def __init__(
        self,
        engine: Engine,
        connection: redis.Redis,
        clock: TimeAndIdSource,
        run_redis_update: RunRedisUpdate = run_redis_update_now,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self.redis_updates = RedisUpdateQueue(engine, connection)
        self._run_redis_update = run_redis_update

    def delete_post(self, owner_id: str, post_id: str) -> None:
        """Raises Rejected (404, 403)."""
        for _ in range(MAX_ATTEMPTS):
            with translate_errors("delete the post"), self._engine.begin() as conn:
                if self._try_delete_post(conn, owner_id, post_id):
                    update_id = self.redis_updates.enqueue_in_transaction(
                        conn, PendingRedisUpdate(deleted_post_ids=[post_id])
                    )
                    break
                conn.rollback()
        else:
            raise Unavailable("The post is too busy to be deleted now", "busy")
        self.apply_redis_update(update_id)

    def apply_redis_update(self, update_id: int) -> None:
        """Applies a queued update, or leaves it in the queue while Redis is unavailable."""
        self._run_redis_update(lambda: self.redis_updates.apply_queued_update(update_id))

    def _try_delete_post(self, conn: Connection, owner_id: str, post_id: str) -> bool:
        """False: a notification for another recipient was written after the recipients were locked."""
        params = {
            "post": post_id,
            "url": f"/posts/{post_id}",
            # Only a page of a running fan-out adds to them, and the next attempt finds that.
            "leave_subscribers": _has_many_notified_subscribers(conn, post_id),
        }
        recipient_ids = {
            notification.recipient_id for notification in _find_notifications_about_post(conn, params)
        }
        locked_recipients = lock_recipients(conn, recipient_ids | {owner_id})
        # No like or comment of the post is written from here on. Users are locked before posts, as in the
        # event writer.
        post_owner_id = conn.execute(_LOCK_POST, params).scalar()
        if post_owner_id is None:
            raise posts.NOT_FOUND
        if post_owner_id != owner_id:
            raise NOT_POST_OWNER
        notifications = _find_notifications_about_post(conn, params)
        if not {notification.recipient_id for notification in notifications} <= locked_recipients:
            return False
        id_params = {"ids": [notification.id for notification in notifications]}
        conn.execute(_MARK_REMOVED, id_params)
        publish_row_updates(
            conn,
            [
                NotificationRowUpdate(notification.recipient_id, notification.id, ClientEventType.REMOVED)
                for notification in notifications
                if notification.is_visible
            ],
        )
        conn.execute(_DELETE_NOTIFICATIONS, id_params)
        conn.execute(text("delete from posts where id = :post"), params)
        if params["leave_subscribers"]:
            withdrawal = Event(
                self._clock.new_id(),
                Kind.BELL_POST,
                MANY_RECIPIENTS,
                owner_id,
                "POST",
                post_id,
                seq=self._clock.now_seq(),
                active=False,
            )
            insert_fan_out(conn, withdrawal, Audience.NOTIFIED)
        return True

    def delete_account(self, user_id: str) -> None:
        """Deletes the posts, then leaves all groups, then deletes the row. Raises Rejected (404)."""
        for _ in range(MAX_ATTEMPTS):
            for post_id in self._select_ids(_POSTS_OF_USER, user_id):
                self.delete_post(user_id, post_id)
            self._raise_if_withdrawals_are_unfinished(user_id)
            # Removing the actor from its groups shortens the list until it is empty.
            while recipient_ids := self._select_ids(_RECIPIENTS_OF_ACTOR, user_id):
                with translate_errors("leave the groups"), self._engine.begin() as conn:
                    lock_recipients(conn, recipient_ids)
                    remove_actor_from_groups(
                        conn, ActorRemovalRequest(user_id, tuple(recipient_ids)), self._clock
                    )
            with translate_errors("delete the account"), self._engine.begin() as conn:
                if (redis_update := self._try_delete_account(conn, user_id)) is not None:
                    update_id = self.redis_updates.enqueue_in_transaction(conn, redis_update)
                    break
                conn.rollback()
        else:
            raise Unavailable("The account is too busy to be deleted now", "busy")
        self.apply_redis_update(update_id)

    def _raise_if_withdrawals_are_unfinished(self, user_id: str) -> None:
        """Deleting the account would delete the remaining rows in one long transaction."""
        with translate_errors("find withdrawals"), self._engine.connect() as conn:
            if has_unfinished_withdrawal(conn, user_id):
                raise Unavailable("Notifications about deleted posts are still being withdrawn", "busy")

    def _try_delete_account(self, conn: Connection, user_id: str) -> PendingRedisUpdate | None:
        """None: meanwhile the user did something that affects a user who is not locked."""
        params = {"user": user_id, "limit": RECIPIENT_BATCH_SIZE}

        def affected_user_ids() -> set[str]:
            return {
                affected_id
                for statement in (_FOLLOWED_USERS, _RECIPIENTS_OF_ACTOR)
                for affected_id in conn.execute(statement, params).scalars()
            }

        locked_users = lock_recipients(conn, affected_user_ids() | {user_id})
        # No row of the user is written from here on.
        if conn.execute(_LOCK_USER, params).scalar() is None:
            raise users.NOT_FOUND
        if not affected_user_ids() <= locked_users or conn.execute(_POSTS_OF_USER, params).first():
            return None
        recipient_ids = tuple(conn.execute(_RECIPIENTS_OF_ACTOR, params).scalars())
        remove_actor_from_groups(conn, ActorRemovalRequest(user_id, recipient_ids), self._clock)
        return delete_users(conn, [user_id])

    def _select_ids(self, statement: object, user_id: str) -> list[str]:
        params = {"user": user_id, "limit": RECIPIENT_BATCH_SIZE}
        with translate_errors("find the rows of a user"), self._engine.connect() as conn:
            return list(conn.execute(statement, params).scalars())  # type: ignore[call-overload]


def delete_users(conn: Connection, user_ids: Sequence[str]) -> PendingRedisUpdate:
    """Deletes users, who are locked, with all their rows, and corrects the counts of other objects. Returns
    the update that Redis needs."""
    params = {"users": list(user_ids)}
    members = [
        (kind.value, object_id, user_id)
        for kind, statement in ACTIVE_MEMBERSHIPS.items()
        for user_id, object_id in conn.execute(statement, params)
    ]
    # Counted from the rows again at the next comment or read.
    commented_post_ids = conn.execute(_COMMENTED_POSTS, params).scalars()
    keys = [membership_keys.comment_key("count", post_id) for post_id in commented_post_ids]
    for user_id in user_ids:
        keys += membership_keys.all_keys(Kind.FOLLOW, user_id)
        for name, slot in product(("blocked", "pending"), CLUSTER_TAGS.slots()):
            keys.append(redis_key("follow", name, user_id, slot_of=slot))
    for statement in (*_COUNT_CORRECTIONS, _DELETE_USERS):
        conn.execute(statement, params)
    return PendingRedisUpdate(removed_members=members, invalidated_keys=keys)


def _find_notifications_about_post(conn: Connection, params: Mapping[str, object]) -> list[PostNotification]:
    return [PostNotification(*row) for row in conn.execute(_NOTIFICATIONS_ABOUT_POST, params)]


def _has_many_notified_subscribers(conn: Connection, post_id: str) -> bool:
    params = {"post": post_id, "limit": MAX_SUBSCRIBERS_AT_ONCE + 1}
    return int(conn.execute(_COUNT_NOTIFIED_SUBSCRIBERS, params).scalar_one()) > MAX_SUBSCRIBERS_AT_ONCE


# A mention or reply may be announced before its comment has a row, so it is also found by its URL.
_NOTIFICATIONS_ABOUT_POST = text("""
    select id::text, user_id::text, is_visible
    from notifications where id in (
        select id from notifications where object_id in (
            select cast(:post as uuid) union all select id from comments where post_id = :post)
            and not (:leave_subscribers and type = 'BELL_POST')
        union select id from notifications
            where type in ('MENTION', 'COMMENT_REPLY') and metadata->>'postUrl' = :url)
    order by user_id, client_seq
""")
_COUNT_NOTIFIED_SUBSCRIBERS = text(
    "select count(*) from (select from notifications "
    "where object_id = :post and type = 'BELL_POST' limit :limit) notified"
)
_LOCK_POST = text("select user_id::text from posts where id = :post for update")
# Marked before they are deleted, so that the unread count published with the removal does not include them.
_MARK_REMOVED = text("update notifications set removed_at = now() where id = any(cast(:ids as uuid[]))")
_DELETE_NOTIFICATIONS = text("delete from notifications where id = any(cast(:ids as uuid[]))")
_LOCK_USER = text("select 1 from users where id = :user for update")
_POSTS_OF_USER = text("select id::text from posts where user_id = :user order by id")
_RECIPIENTS_OF_ACTOR = text(
    "select distinct n.user_id::text from notification_actors a "
    "join notifications n on n.id = a.notification_id "
    "where a.actor_id = :user and a.active and n.user_id <> :user limit :limit"
)
_FOLLOWED_USERS = text("select following_id::text from follows where follower_id = :user and active")
ACTIVE_MEMBERSHIPS = {
    Kind.LIKE: text(
        "select user_id::text, post_id::text from likes "
        "where user_id = any(cast(:users as uuid[])) and active"
    ),
    Kind.FOLLOW: text(
        "select follower_id::text, following_id::text from follows "
        "where follower_id = any(cast(:users as uuid[])) and active"
    ),
}
"""The likes and follows of users: the user, and the post or the other user."""
_COMMENTED_POSTS = text(
    "select distinct post_id::text from comments where user_id = any(cast(:users as uuid[]))"
)


def _count_correction_sql(counter: str, rows: str, object_column: str, user_column: str) -> TextClause:
    table, column = counter.split(".")
    return text(
        f"update {table} set {column} = greatest(0, {column} - n.deleted_count) from "  # noqa: S608 - constants
        f"(select {object_column} as id, count(*) as deleted_count from {rows} "
        f"where {user_column} = any(cast(:users as uuid[])) and active group by {object_column}) n "
        f"where {table}.id = n.id"
    )


_COUNT_CORRECTIONS = (
    _count_correction_sql("posts.like_count", "likes", "post_id", "user_id"),
    _count_correction_sql("posts.comment_count", "comments", "post_id", "user_id"),
    _count_correction_sql("users.follower_count", "follows", "following_id", "follower_id"),
)
_DELETE_USERS = text("delete from users where id = any(cast(:users as uuid[]))")
