"""Whom and what somebody does not want to hear of.

In    blueprints/mutes.py
Out   the tables mutes and blocks; the ledger asks them before it tells (stores/audience.py)

A mute silences the future. A block also ends both follows and takes what each did out of the
other's groups, in one transaction and under the locks of the ledger: nothing slips in between.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, TextClause, text

from app.domain.errors import Rejected
from app.stores import posts, users
from app.stores.groups import lock_recipients
from app.stores.ledger import Hand
from app.stores.postgres import speaking
from app.stores.posts import Slice
from app.stores.users import Mini
from app.stores.withdrawals import Leaver, take_out

SELF_MUTE = Rejected("Cannot mute yourself", "cannot_mute_self", 400)
SELF_BLOCK = Rejected("Cannot block yourself", "cannot_block_self", 400)


@dataclass(frozen=True, slots=True)
class Mute:
    """One line of the list: a person or a post."""

    id: str
    since: datetime
    person: Mini | None
    post_id: str | None


@dataclass(frozen=True, slots=True)
class Block:
    person: Mini
    since: datetime


class Mutes:
    def __init__(self, engine: Engine, hand: Hand) -> None:
        self._engine = engine
        self._hand = hand

    def person(self, user_id: str, other_id: str, on: bool) -> None:
        """Raises Rejected (404)."""
        if user_id == other_id:
            raise SELF_MUTE
        self._put(_MUTE_PERSON if on else _UNMUTE_PERSON, _PERSON, user_id, other_id, users.MISSING)

    def post(self, user_id: str, post_id: str, on: bool) -> None:
        """Raises Rejected (404)."""
        self._put(_MUTE_POST if on else _UNMUTE_POST, _POST, user_id, post_id, posts.MISSING)

    def check_person(self, user_id: str) -> None:
        """Raises Rejected (404)."""
        with speaking("find a person"), self._engine.connect() as sql:
            if sql.execute(_PERSON, {"other": user_id}).first() is None:
                raise users.MISSING

    def block(self, user_id: str, other_id: str) -> None:
        """Raises Rejected (404). Frames about the groups that change go out with it."""
        with speaking("block"), self._engine.begin() as sql:
            # Both: an account that is removed meanwhile must not leave half a block.
            present = lock_recipients(sql, [user_id, other_id])
            if other_id not in present:
                raise users.MISSING
            if user_id not in present:
                return
            pair = {"user": user_id, "other": other_id}
            for statement in (_BLOCK, _END_FOLLOWS, _END_BELLS):
                sql.execute(statement, pair)
            for one, recipient in ((other_id, user_id), (user_id, other_id)):
                take_out(sql, Leaver(one, (recipient,)), self._hand)

    def unblock(self, user_id: str, other_id: str) -> None:
        self._put(_UNBLOCK, _PERSON, user_id, other_id, users.MISSING)

    def _put(
        self, statement: TextClause, exists: TextClause, user_id: str, other: str, missing: Rejected
    ) -> None:
        values = {"id": self._hand.new_id(), "user": user_id, "other": other}
        with speaking("keep the choice"), self._engine.begin() as sql:
            if sql.execute(exists, {"other": other}).first() is None:
                raise missing
            sql.execute(statement, values)

    def has_muted(self, user_id: str, other_id: str) -> bool:
        values = {"user": user_id, "other": other_id}
        with speaking("look for mutes"), self._engine.connect() as sql:
            return sql.execute(_HAS_MUTED, values).first() is not None

    def muted(self, user_id: str, part: Slice) -> list[Mute]:
        """Newest first, people and posts together."""
        with speaking("list mutes"), self._engine.connect() as sql:
            rows = sql.execute(_paged(_MUTED, "m.created_at, m.id", part), _values(user_id, part))
            return [
                Mute(row[0], row[1], Mini(*row[3:7]) if row[3] else None, row[2]) for row in rows
            ]

    def blocked(self, user_id: str, part: Slice) -> list[Block]:
        with speaking("list blocks"), self._engine.connect() as sql:
            statement = _paged(_BLOCKED, "b.created_at, b.blocked_user_id", part)
            rows = sql.execute(statement, _values(user_id, part))
            return [Block(Mini(*row[1:5]), row[0]) for row in rows]


def _paged(statement: str, place: str, part: Slice) -> TextClause:
    older = f"and ({place}) < (:moment, cast(:last as uuid))" if part.after else ""
    order = ", ".join(f"{one} desc" for one in place.split(", "))
    return text(f"{statement} {older} order by {order} limit :limit offset :offset")


def _values(user_id: str, part: Slice) -> dict[str, object]:
    moment, last = part.after or (None, None)
    page = {"limit": part.limit, "offset": part.offset}
    return {"user": user_id, "moment": moment, "last": last, **page}


_PERSON = text("select 1 from users where id = :other")
_POST = text("select 1 from posts where id = :other")
_MUTE_PERSON = text(
    "insert into mutes (id, user_id, muted_user_id) select :id, u.id, o.id from users u, users o "
    "where u.id = :user and o.id = :other on conflict do nothing"
)
_UNMUTE_PERSON = text("delete from mutes where user_id = :user and muted_user_id = :other")
_MUTE_POST = text(
    "insert into mutes (id, user_id, muted_post_id) select :id, u.id, p.id from users u, posts p "
    "where u.id = :user and p.id = :other on conflict do nothing"
)
_UNMUTE_POST = text("delete from mutes where user_id = :user and muted_post_id = :other")
_BLOCK = text(
    "insert into blocks (user_id, blocked_user_id) values (:user, :other) on conflict do nothing"
)
# The unfollows of app/actions.py may still be on their way, or a follow may have overtaken them.
# One more than the follow's own seq: whatever is accepted later is newer.
_END_FOLLOWS = text("""
    with ended as (
        update follows set active = false, seq = seq + 1, updated_at = now()
        where active and (follower_id, following_id) in ((:user, :other), (:other, :user))
        returning following_id)
    update users set follower_count = greatest(0, follower_count - 1)
    where id in (select following_id from ended)
""")
_END_BELLS = text(
    "delete from bell_subscriptions "
    "where (subscriber_id, target_user_id) in ((:user, :other), (:other, :user))"
)
_UNBLOCK = text("delete from blocks where user_id = :user and blocked_user_id = :other")
_HAS_MUTED = text("select 1 from mutes where user_id = :user and muted_user_id = :other")
_MUTED = (
    "select m.id::text, m.created_at, m.muted_post_id::text, u.id::text, u.username, u.name, "
    "u.avatar_url from mutes m left join users u on u.id = m.muted_user_id where m.user_id = :user"
)
_BLOCKED = (
    "select b.created_at, u.id::text, u.username, u.name, u.avatar_url "
    "from blocks b join users u on u.id = b.blocked_user_id where b.user_id = :user"
)
