"""Posts and accounts that go for good, with everything that was told about them.

In    blueprints/posts.py, blueprints/users.py
Out   PostgreSQL: the rows, and the groups about them (live: notification_removed, corrected texts);
      Redis: counts and standings

Nothing is half done for a reader: what can be cut off between two steps is repeated by asking
again, and what Redis must learn is noted in the same transaction (stores/redis_updates.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import redis
from sqlalchemy import Connection, Engine, text

from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.domain.ledger import Frame
from app.stores import posts, users
from app.stores.groups import lock_recipients
from app.stores.ledger import Hand
from app.stores.postgres import speaking
from app.stores.redis import key
from app.stores.redis_updates import RedisUpdate, RedisUpdates
from app.stores.telling import Line, tell_rows
from app.stores.withdrawals import Leaver, take_out

NOT_YOUR_POST = Rejected("Cannot delete another user's post", "forbidden", 403)
TRIES = 5
AT_ONCE = 200
TellRedis = Callable[[Callable[[], None]], None]
"""Does it; while Redis is away, makes sure that nobody is answered by what Redis knew."""


@dataclass(frozen=True, slots=True)
class About:
    """A group about a post: it goes with it."""

    id: str
    owner_id: str
    shown: bool


@dataclass(frozen=True, slots=True)
class Left:
    """The posts and people somebody who goes has liked, followed and commented on."""

    likes: Sequence[str]
    follows: Sequence[str]
    commented: Sequence[str] = ()


def at_once(act: Callable[[], None]) -> None:
    act()


class Removals:
    def __init__(
        self,
        engine: Engine,
        connection: redis.Redis,
        hand: Hand,
        tell_redis: TellRedis = at_once,
    ) -> None:
        self._engine = engine
        self._hand = hand
        self.updates = RedisUpdates(engine, connection)
        self._tell_redis = tell_redis

    def post(self, owner_id: str, post_id: str) -> None:
        """Raises Rejected (404, 403)."""
        for _ in range(TRIES):
            with speaking("delete the post"), self._engine.begin() as sql:
                if self._post(sql, owner_id, post_id):
                    place = self.updates.note(sql, RedisUpdate(posts=[post_id]))
                    break
                sql.rollback()
        else:
            raise Unavailable("The post is too busy to be deleted now", "busy")
        self.tell(place)

    def tell(self, place: int) -> None:
        """Has Redis learn of what was noted there; later, when it is away."""
        self._tell_redis(lambda: self.updates.apply(place))

    def _post(self, sql: Connection, owner_id: str, post_id: str) -> bool:
        """False: somebody was told of it after we locked those who had been."""
        values = {"post": post_id, "url": f"/posts/{post_id}"}
        locked = lock_recipients(sql, {one.owner_id for one in _about(sql, values)} | {owner_id})
        # From here on nobody writes a like or a comment of it; people first, as the ledger does.
        owner = sql.execute(_LOCK_POST, values).scalar()
        if owner is None:
            raise posts.MISSING
        if owner != owner_id:
            raise NOT_YOUR_POST
        groups = _about(sql, values)
        if not {one.owner_id for one in groups} <= locked:
            return False
        ids = {"ids": [one.id for one in groups]}
        sql.execute(_HIDE, ids)
        tell_rows(sql, [Line(g.owner_id, g.id, Frame.REMOVED) for g in groups if g.shown])
        sql.execute(_DROP, ids)
        sql.execute(text("delete from posts where id = :post"), values)
        return True

    def account(self, user_id: str) -> None:
        """Step by step out of everything, then the row. Raises Rejected (404)."""
        for _ in range(TRIES):
            for post_id in self._ids(_POSTS, user_id):
                self.post(user_id, post_id)
            while recipients := self._ids(_RECIPIENTS, user_id):  # each turn empties its page
                with speaking("leave the groups"), self._engine.begin() as sql:
                    lock_recipients(sql, recipients)
                    take_out(sql, Leaver(user_id, tuple(recipients)), self._hand)
            with speaking("remove the account"), self._engine.begin() as sql:
                if (left := self._account(sql, user_id)) is not None:
                    place = self.updates.note(sql, _without(user_id, left))
                    break
                sql.rollback()
        else:
            raise Unavailable("The account is too busy to be removed now", "busy")
        self.tell(place)

    def _account(self, sql: Connection, user_id: str) -> Left | None:
        """What it leaves behind. None: they did something meanwhile for somebody not locked."""
        values = {"user": user_id, "limit": AT_ONCE}

        def concerned() -> set[str]:
            found = (sql.execute(one, values).scalars() for one in (_FOLLOWS, _RECIPIENTS))
            return {one for ids in found for one in ids}

        locked = lock_recipients(sql, concerned() | {user_id})
        # From here on nobody writes a row of theirs.
        if sql.execute(_LOCK_USER, values).scalar() is None:
            raise users.MISSING
        if not concerned() <= locked or sql.execute(_POSTS, values).first():
            return None
        recipients = tuple(sql.execute(_RECIPIENTS, values).scalars())
        take_out(sql, Leaver(user_id, recipients), self._hand)
        lists = (list(sql.execute(one, values).scalars()) for one in (_LIKES, _FOLLOWS, _COMMENTED))
        left = Left(*lists)
        for statement in _CORRECTIONS:
            sql.execute(statement, values)
        sql.execute(text("delete from users where id = :user"), values)
        return left

    def _ids(self, statement: object, user_id: str) -> list[str]:
        values = {"user": user_id, "limit": AT_ONCE}
        with speaking("find what is theirs"), self._engine.connect() as sql:
            return list(sql.execute(statement, values).scalars())  # type: ignore[call-overload]


def _without(user_id: str, left: Left) -> RedisUpdate:
    likes = [(Kind.LIKE.value, post_id, user_id) for post_id in left.likes]
    follows = [(Kind.FOLLOW.value, other_id, user_id) for other_id in left.follows]
    # Counted afresh from the rows at the next comment or by the next reader.
    comments = [key("comment", "count", post_id) for post_id in left.commented]
    own = [key("follow", name, user_id) for name in ("count", "users", "blocked", "pending")]
    return RedisUpdate(members=[*likes, *follows], keys=[*comments, *own])


def _about(sql: Connection, values: Mapping[str, object]) -> list[About]:
    return [About(*row) for row in sql.execute(_ABOUT, values)]


# A comment may have no row yet, and yet somebody was told that it names or answers them.
_ABOUT = text("""
    select id::text, user_id::text, version > 0 and removed_at is null and archived_at is null
    from notifications where id in (
        select id from notifications where object_id in (
            select cast(:post as uuid) union all select id from comments where post_id = :post)
        union select id from notifications
            where type in ('MENTION', 'COMMENT_REPLY') and metadata->>'postUrl' = :url)
    order by user_id, seq
""")
_LOCK_POST = text("select user_id::text from posts where id = :post for update")
# So that the badge that is told with them does not count them.
_HIDE = text("update notifications set removed_at = now() where id = any(cast(:ids as uuid[]))")
_DROP = text("delete from notifications where id = any(cast(:ids as uuid[]))")
_LOCK_USER = text("select 1 from users where id = :user for update")
_POSTS = text("select id::text from posts where user_id = :user order by id")
_RECIPIENTS = text(
    "select distinct n.user_id::text from notification_actors a "
    "join notifications n on n.id = a.notification_id "
    "where a.actor_id = :user and a.active and n.user_id <> :user limit :limit"
)
_LIKES = text("select post_id::text from likes where user_id = :user and active")
_FOLLOWS = text("select following_id::text from follows where follower_id = :user and active")
_COMMENTED = text("select distinct post_id::text from comments where user_id = :user")
_CORRECTIONS = (
    text(
        "update posts set like_count = greatest(0, like_count - 1) where id in "
        "(select post_id from likes where user_id = :user and active)"
    ),
    text(
        "update posts set comment_count = greatest(0, comment_count - n.gone) from "
        "(select post_id, count(*) as gone from comments where user_id = :user and active "
        "group by post_id) n where posts.id = n.post_id"
    ),
    text(
        "update users set follower_count = greatest(0, follower_count - 1) where id in "
        "(select following_id from follows where follower_id = :user and active)"
    ),
    # Their failover writes count no more; what was written about is read afresh all the same.
    text("update direct_words set active = false where actor_id = :user and active"),
)
