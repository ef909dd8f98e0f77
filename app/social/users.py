"""Users: accounts, public profiles, summaries and search.

In: requests of app/accounts and the blueprints. Out: the tables users and notification_preferences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from app.clients.postgres import translate_errors
from app.domain.errors import define_rejection
from app.domain.text import user_search_key
from app.persistence.blocks import not_blocked_sql
from app.persistence.bounded_counts import bounded_count_sql
from app.persistence.pending_follows import (
    PENDING_FOLLOWS_SQL,
    PendingFollow,
    pending_follow_params,
)
from app.persistence.profile_changes import record_profile_change
from app.persistence.tables import users
from app.social.user_search import normalize_search_query, search_users

NOT_FOUND = define_rejection("User not found", "user_not_found", 404)
INVALID_TOKEN = define_rejection("Invalid or expired token", "invalid_token", 401)
DEFAULT_SEARCH_LIMIT = 20
_UNIQUE_VIOLATIONS = {
    "uq_users_email": define_rejection("Email already registered", "email_taken", 409),
    "uq_users_username": define_rejection("Username already taken", "username_taken", 409),
}
_ACCOUNT_COLUMNS = "id::text, email, username, name, bio, avatar_url, created_at, password_hash, role"


@dataclass(frozen=True, slots=True)
class UserSummary:
    """The fields of a user that are shown beside a post or a comment."""

    id: str
    username: str
    name: str | None
    avatar_url: str | None


SUMMARY_COLUMNS = (users.c.id, users.c.username, users.c.name, users.c.avatar_url)
"""In the order of UserSummary."""


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
    """A public profile. The number of followers comes from app/ingest/memberships.py; the other two are at
    most MAX_COUNTED_ROWS."""

    id: str
    username: str
    name: str | None
    bio: str | None
    avatar_url: str | None
    created_at: datetime
    post_count: int
    following_count: int


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

    def create(self, new_user: NewUser) -> Account:
        """Raises Rejected (409) when the e-mail address or the user name is taken."""
        params = {
            "id": new_user.id,
            "email": new_user.email,
            "username": new_user.username,
            "name": new_user.name,
            "search_key": user_search_key(new_user.username, new_user.name),
            "hash": new_user.password_hash,
            "role": new_user.role,
        }
        try:
            with translate_errors("create the account"), self._engine.begin() as conn:
                row = conn.execute(_INSERT_USER, params).one()
                conn.execute(_INSERT_PREFERENCES, {"id": new_user.id})
        except IntegrityError as exc:
            constraint_name = getattr(getattr(exc.orig, "diag", None), "constraint_name", None)
            if constraint_name in _UNIQUE_VIOLATIONS:
                raise _UNIQUE_VIOLATIONS[constraint_name] from exc
            raise
        return Account(*row)

    def find_account_by_email(self, email: str) -> Account | None:
        return self._find_account("email = :value", email)

    def find_account_by_id(self, user_id: str) -> Account | None:
        return self._find_account("id = :value", user_id)

    def promote_to_admin(self, user_id: str) -> None:
        with translate_errors("promote a user"), self._engine.begin() as conn:
            conn.execute(text("update users set role = 'admin' where id = :id"), {"id": user_id})

    def get_id_by_username(self, username: str) -> str:
        """Raises Rejected (404)."""
        if not username.isprintable():  # PostgreSQL rejects NUL
            raise NOT_FOUND
        row = self._fetch_first_row("select id::text from users where username = :value", username.lower())
        if row is None:
            raise NOT_FOUND
        return str(row[0])

    def exists(self, user_id: str) -> bool:
        return self._fetch_first_row("select 1 from users where id = :value", user_id) is not None

    def get_profile(self, user_id: str, pending_follows: Sequence[PendingFollow] = ()) -> Profile:
        """`pending_follows`: the user's own follows that have no rows yet. Raises Rejected (404)."""
        params = {"value": user_id} | pending_follow_params(pending_follows)
        with translate_errors("find a user"), self._engine.connect() as conn:
            row = conn.execute(_SELECT_PROFILE, params).first()
        if row is None:
            raise NOT_FOUND
        return Profile(*row)

    def get_summaries(self, user_ids: Sequence[str]) -> dict[str, UserSummary]:
        """By id; users that do not exist are left out."""
        if not user_ids:
            return {}
        with translate_errors("read users"), self._engine.connect() as conn:
            rows = conn.execute(_SELECT_SUMMARIES, {"ids": list(set(user_ids))})
            return {row[0]: UserSummary(*row) for row in rows}

    def get_summary_of_token_user(self, user_id: str) -> UserSummary:
        """The user of the request. Raises Rejected (401), because a token can outlive its account."""
        summary = self.get_summaries([user_id]).get(user_id)
        if summary is None:
            raise INVALID_TOKEN
        return summary

    def update_profile(
        self, user_id: str, name: str | None, bio: str | None, avatar_url: str | None
    ) -> Account:
        """None leaves a field unchanged. Open pages that show the former name or avatar are updated
        (app/persistence/profile_changes.py). Raises Rejected (404)."""
        params = {"id": user_id, "name": name, "bio": bio, "avatar_url": avatar_url}
        with translate_errors("update the profile"), self._engine.begin() as conn:
            row = conn.execute(_UPDATE_PROFILE, params).first()
            if row is None:
                raise NOT_FOUND
            *columns, is_display_changed = row
            account = Account(*columns)
            if name is not None:
                search_key = user_search_key(account.username, account.name)
                conn.execute(_UPDATE_SEARCH_KEY, {"id": user_id, "search_key": search_key})
            if is_display_changed:
                record_profile_change(conn, user_id)
        return account

    def search(self, query: str, limit: int = DEFAULT_SEARCH_LIMIT, offset: int = 0) -> list[UserSummary]:
        """By user name and name, best match first (app/social/user_search.py)."""
        normalized_query = normalize_search_query(query)
        if not normalized_query:
            return []
        with translate_errors("search users"), self._engine.connect() as conn:
            return [UserSummary(*row) for row in search_users(conn, normalized_query, limit, offset)]

    def list_newest(self, limit: int, viewer_id: str) -> list[UserSummary]:
        """The newest users, without simulated users, the viewer and users hidden by a block."""
        with translate_errors("list users"), self._engine.connect() as conn:
            rows = conn.execute(_LIST_NEWEST, {"limit": limit, "viewer": viewer_id})
            return [UserSummary(*row) for row in rows]

    def _find_account(self, condition: str, value: str) -> Account | None:
        row = self._fetch_first_row(f"select {_ACCOUNT_COLUMNS} from users where {condition}", value)  # noqa: S608 - constants
        return Account(*row) if row else None

    def _fetch_first_row(self, statement: str, value: str) -> tuple[Any, ...] | None:
        with translate_errors("find a user"), self._engine.connect() as conn:
            row = conn.execute(text(statement), {"value": value}).first()
        return tuple(row) if row else None


_INSERT_USER = text(
    "insert into users (id, email, username, name, search_key, password_hash, role) "  # noqa: S608 - constants
    f"values (:id, :email, :username, :name, :search_key, :hash, :role) returning {_ACCOUNT_COLUMNS}"
)
_INSERT_PREFERENCES = text("insert into notification_preferences (user_id) values (:id)")
# The number of followed users: the rows, corrected by follows that are accepted and not written yet.
_SELECT_PROFILE = text(f"""
    with pending as (
        select distinct on (other) other, active, seq from {PENDING_FOLLOWS_SQL}
        order by other, seq desc)
    select u.id::text, username, name, bio, avatar_url, u.created_at,
        {bounded_count_sql("select from posts p where p.user_id = u.id")},
        {bounded_count_sql("select from follows f where f.follower_id = u.id and f.active")}
        + (select coalesce(sum(p.active::int - coalesce(f.active, false)::int), 0) from pending p
            left join follows f on f.follower_id = :value and f.following_id = p.other
            where coalesce(f.seq, 0) < p.seq and exists (select 1 from users where id = p.other))
    from users u where u.id = :value
""")  # noqa: S608 - constants only
_SELECT_SUMMARIES = text(
    "select id::text, username, name, avatar_url from users where id = any(cast(:ids as uuid[]))"
)
# Ordered by users.id, which rises with time and is indexed; `order by id` would sort the text of all ids.
_LIST_NEWEST = text(
    "select id::text, username, name, avatar_url from users "  # noqa: S608 - constants only
    f"where not is_simulated and id <> :viewer and {not_blocked_sql('users.id')} "
    "order by users.id desc limit :limit"
)
_UPDATE_PROFILE = text(
    "update users set name = coalesce(:name, name), bio = coalesce(:bio, bio), "  # noqa: S608 - constants
    f"avatar_url = coalesce(:avatar_url, avatar_url), updated_at = now() where id = :id "
    f"returning {_ACCOUNT_COLUMNS}, (old.name, old.avatar_url) is distinct from (name, avatar_url)"
)
_UPDATE_SEARCH_KEY = text("update users set search_key = :search_key where id = :id")
