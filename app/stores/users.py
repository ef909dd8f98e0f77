"""People: accounts, what others see of them, and search.

In    app/accounts.py, the blueprints
Out   the tables users and notification_preferences
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import IntegrityError

from app.domain.errors import Rejected
from app.domain.text import fold, search_key
from app.stores.blocks import unblocked
from app.stores.pending_follows import UNWRITTEN, Unwritten, unwritten_values
from app.stores.postgres import speaking
from app.stores.profile_changes import note_change

MISSING = Rejected("User not found", "user_not_found", 404)
SEARCH_LIMIT = 20
CLOSE, FAINT = 0.45, 0.25
"""Word similarities (pg_trgm) from which names are compared by edit distance; the second is for
searches that find nobody else. Margret and Margaret have 0.55, Tomson and Thompson 0.29.
"""
MAX_SEARCHED = 100
"""Letters of a search, folded, that are compared."""
MAX_CANDIDATES, MAX_COMPARED, MAX_SIMILAR = 10_000, 2_000, 50
"""Of names that are similar by trigrams; of those compared by edit distance; of those shown."""
MAX_SIMILAR_WORDS = 4
_TAKEN = {
    "uq_users_email": Rejected("Email already registered", "email_taken", 409),
    "uq_users_username": Rejected("Username already taken", "username_taken", 409),
}
_ACCOUNT = "id::text, email, username, name, bio, avatar_url, created_at, password_hash, role"


@dataclass(frozen=True, slots=True)
class Mini:
    """As much of a person as stands beside a post or a comment."""

    id: str
    username: str
    name: str | None
    avatar_url: str | None


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    email: str
    username: str
    name: str | None
    bio: str | None
    avatar_url: str | None
    created_at: datetime
    password_hash: str
    role: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What anybody may see. The number of followers is kept elsewhere (stores/memberships.py)."""

    id: str
    username: str
    name: str | None
    bio: str | None
    avatar_url: str | None
    created_at: datetime
    posts: int
    following: int


@dataclass(frozen=True, slots=True)
class NewUser:
    id: str
    email: str
    username: str
    name: str
    password_hash: str
    role: str = "user"


class Users:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, new: NewUser) -> Account:
        """Raises Rejected (409) when the e-mail address or the user name is taken."""
        values = {
            "id": new.id,
            "email": new.email,
            "username": new.username,
            "name": new.name,
            "search_key": search_key(new.username, new.name),
            "hash": new.password_hash,
            "role": new.role,
        }
        try:
            with speaking("keep the account"), self._engine.begin() as sql:
                row = sql.execute(_INSERT, values).one()
                sql.execute(_PREFERENCES, {"id": new.id})
        except IntegrityError as fault:
            name = getattr(getattr(fault.orig, "diag", None), "constraint_name", None)
            if name in _TAKEN:
                raise _TAKEN[name] from fault
            raise
        return Account(*row)

    def by_email(self, email: str) -> Account | None:
        return self._account("email = :value", email)

    def by_id(self, user_id: str) -> Account | None:
        return self._account("id = :value", user_id)

    def promote(self, user_id: str) -> None:
        with speaking("promote"), self._engine.begin() as sql:
            sql.execute(text("update users set role = 'admin' where id = :id"), {"id": user_id})

    def id_of(self, username: str) -> str:
        """Raises Rejected (404)."""
        if not username.isprintable():  # PostgreSQL would refuse a NUL
            raise MISSING
        found = self._first("select id::text from users where username = :value", username.lower())
        if found is None:
            raise MISSING
        return str(found[0])

    def exists(self, user_id: str) -> bool:
        return self._first("select 1 from users where id = :value", user_id) is not None

    def profile(self, user_id: str, unwritten: Sequence[Unwritten] = ()) -> Profile:
        """`unwritten`: their own follows that have no rows yet. Raises Rejected (404)."""
        values = {"value": user_id} | unwritten_values(unwritten)
        with speaking("find a person"), self._engine.connect() as sql:
            row = sql.execute(_PROFILE, values).first()
        if row is None:
            raise MISSING
        return Profile(*row)

    def minis(self, user_ids: Sequence[str]) -> dict[str, Mini]:
        """Those of them that exist, by id."""
        if not user_ids:
            return {}
        with speaking("tell who they are"), self._engine.connect() as sql:
            rows = sql.execute(_MINIS, {"ids": list(set(user_ids))})
            return {row[0]: Mini(*row) for row in rows}

    def emails(self, user_ids: Sequence[str]) -> dict[str, str]:
        """Of those of them that exist. Simulated people have none that mail could go to."""
        with speaking("tell their addresses"), self._engine.connect() as sql:
            rows = sql.execute(_EMAILS, {"ids": list(set(user_ids))})
            return {row[0]: row[1] for row in rows}

    def mini(self, user_id: str) -> Mini:
        """The one who asks. Raises Rejected (401): a token can outlive its account."""
        found = self.minis([user_id]).get(user_id)
        if found is None:
            raise Rejected("Invalid or expired token", "invalid_token", 401)
        return found

    def change(
        self, user_id: str, name: str | None, bio: str | None, avatar_url: str | None
    ) -> Account:
        """None leaves a field as it is. Open pages that show a former name or picture are corrected
        (stores/profile_changes.py). Raises Rejected (404)."""
        values = {"id": user_id, "name": name, "bio": bio, "avatar": avatar_url}
        with speaking("change the profile"), self._engine.begin() as sql:
            row = sql.execute(_CHANGE, values).first()
            if row is None:
                raise MISSING
            *columns, looks_different = row
            changed = Account(*columns)
            if name is not None:
                key = search_key(changed.username, changed.name)
                sql.execute(_CHANGE_SEARCH_KEY, {"id": user_id, "search_key": key})
            if looks_different:
                note_change(sql, user_id)
        return changed

    def search(self, words: str, limit: int = SEARCH_LIMIT, start: int = 0) -> list[Mini]:
        """Whoever has these words as or in user name and name: the whole of one first, then its
        beginning, then any part; after them, who is called nearly so. Case, accents and the like
        do not count (domain/text.py, fold())."""
        folded = fold(words).removeprefix("@")[:MAX_SEARCHED].strip()
        if not folded:
            return []
        wanted = start + limit
        values = _search_values(folded) | {"wanted": wanted}
        with speaking("search"), self._engine.connect() as sql:
            sql.execute(_BY_INDEX)
            found = sql.execute(_MATCHING, values).all()
            if len(found) < wanted and folded.count(" ") < MAX_SIMILAR_WORDS:
                found = [*found, *_similar(sql, values)] or _similar(sql, values, FAINT)
        return [Mini(*row) for row in found[start:wanted]]

    def newest(self, limit: int, viewer_id: str) -> list[Mini]:
        """Who came last, without simulated people, the viewer and whom a block hides from them."""
        with speaking("list people"), self._engine.connect() as sql:
            rows = sql.execute(_NEWEST, {"limit": limit, "viewer": viewer_id})
            return [Mini(*row) for row in rows]

    def _account(self, where: str, value: str) -> Account | None:
        row = self._first(f"select {_ACCOUNT} from users where {where}", value)  # noqa: S608 - constants
        return Account(*row) if row else None

    def _first(self, statement: str, value: str) -> tuple[Any, ...] | None:
        with speaking("find a person"), self._engine.connect() as sql:
            row = sql.execute(text(statement), {"value": value}).first()
        return tuple(row) if row else None


def _search_values(folded: str) -> dict[str, object]:
    plain = folded.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    # Two letters are part of most names, and no index finds them; two of Han are a given name.
    anywhere = len(folded) > 2 or not folded.isascii()
    return {
        "words": folded,
        "part": f"%{plain}%" if anywhere else f"% {plain}%",
        "most_candidates": MAX_CANDIDATES,
        "most_compared": MAX_COMPARED,
        "most_similar": MAX_SIMILAR,
    }


def _similar(
    sql: Connection, values: dict[str, object], least: float = CLOSE
) -> Sequence[Row[Any]]:
    sql.execute(_SIMILARITY, {"least": str(least)})
    return sql.execute(_SIMILAR, values).all()


_INSERT = text(
    "insert into users (id, email, username, name, search_key, password_hash, role) "  # noqa: S608 - constants
    f"values (:id, :email, :username, :name, :search_key, :hash, :role) returning {_ACCOUNT}"
)
_PREFERENCES = text("insert into notification_preferences (user_id) values (:id)")
# Whom they follow: the rows, corrected by what is accepted and not written yet.
_PROFILE = text(f"""
    with said as (
        select distinct on (other) other, active, seq from (
            select subject_id as other, active, seq from direct_words
                where kind = 'FOLLOW' and member_id = :value
            union all select * from {UNWRITTEN}) w (other, active, seq)
        order by other, seq desc)
    select u.id::text, username, name, bio, avatar_url, u.created_at,
        (select count(*) from posts p where p.user_id = u.id),
        (select count(*) from follows f where f.follower_id = u.id and f.active)
        + (select coalesce(sum(s.active::int - coalesce(f.active, false)::int), 0) from said s
            left join follows f on f.follower_id = :value and f.following_id = s.other
            where coalesce(f.seq, 0) < s.seq and exists (select 1 from users where id = s.other))
    from users u where u.id = :value
""")  # noqa: S608 - constants only
_MINIS = text(
    "select id::text, username, name, avatar_url from users where id = any(cast(:ids as uuid[]))"
)
_EMAILS = text(
    "select id::text, email from users where id = any(cast(:ids as uuid[])) and not is_simulated"
)
# By id: it rises with time, and the primary key is an index.
_NEWEST = text(
    "select id::text, username, name, avatar_url from users "  # noqa: S608 - constants only
    f"where not is_simulated and id <> :viewer and {unblocked('users.id')} "
    "order by id desc limit :limit"
)
_CHANGE = text(
    "update users set name = coalesce(:name, name), bio = coalesce(:bio, bio), "  # noqa: S608 - constants
    f"avatar_url = coalesce(:avatar, avatar_url), updated_at = now() where id = :id "
    f"returning {_ACCOUNT}, (old.name, old.avatar_url) is distinct from (name, avatar_url)"
)
_CHANGE_SEARCH_KEY = text("update users set search_key = :search_key where id = :id")
# For the search's transaction: the planner takes a comparison of trigrams to cost no more than one
# of numbers, and would compare all users instead of reading the index.
_BY_INDEX = text("set local enable_seqscan = off")
_SIMILARITY = text("select set_config('pg_trgm.word_similarity_threshold', :least, true)")
_MATCHING = text("""
    select id::text, username, name, avatar_url from users where search_key like :part
    order by case
            when username = :words then 0
            when search_key = ' ' || username || ' ' || :words || ' ' then 1
            when starts_with(search_key, ' ' || :words) then 2
            when starts_with(search_key, ' ' || username || ' ' || :words) then 3
            when strpos(search_key, ' ' || :words) > 0 then 4
            else 5
        end, strpos(search_key, ' ' || :words || ' ') = 0, username
    limit :wanted
""")
# The index finds candidates by trigrams, but one wrong letter of a short word changes most of its
# trigrams: edit distance decides. A letter too many or too few counts 1; one in place of another,
# or two that changed places, 2. Each word of the search is within 3 of a word of the name (2 below
# eight letters, 0 below four).
_SIMILAR = text("""
    with candidate as (
        select id, username, name, avatar_url, search_key from users
        where cast(:words as text) <% search_key and search_key not like :part
        limit :most_candidates
    ), compared as (
        select id, username, name, avatar_url, word_similarity(:words, search_key) as similarity,
            string_to_array(translate(search_key, '_.-', '   '), ' ') as names
        from candidate order by similarity desc limit :most_compared
    )
    select c.id::text, c.username, c.name, c.avatar_url
    from compared c cross join lateral (
        select sum(best.distance) as distance, bool_and(best.distance <= allowed) as close
        from unnest(string_to_array(:words, ' ')) as asked (word)
        cross join lateral (
            select case when length(asked.word) < 4 then 0
                when length(asked.word) < 8 then 2 else 3 end as allowed
        ) as tolerance
        cross join lateral (
            select min(levenshtein_less_equal(asked.word, named.word, 1, 1, 2, allowed)) as distance
            from unnest(c.names) as named (word)
        ) as best
    ) as of_all
    where of_all.close
    order by of_all.distance, c.similarity desc, c.username limit :most_similar
""")
