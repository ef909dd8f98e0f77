"""Users, posts and access tokens, created in bulk and directly in the tables."""

from collections.abc import Sequence

from sqlalchemy import Engine, text

from app.bootstrap import new_id
from app.devtools.direct_access import create_access_token as create_access_token
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import MembershipStore

FIXTURE_EMAIL_DOMAIN = "@bench.invalid"

_INSERT_USERS = text("""
    insert into users (id, email, username, name)
    select id, id || :email_domain, 'bench_' || replace(id::text, '-', ''), 'Bench ' || n
    from unnest(cast(:ids as uuid[])) with ordinality as created (id, n)
""")
_INSERT_POSTS = text("""
    insert into posts (id, user_id, caption) select unnest(cast(:ids as uuid[])), :owner, 'bench'
""")


def create_users(engine: Engine, count: int) -> list[str]:
    """Returns the ids of the new users."""
    ids = [new_id() for _ in range(count)]
    with engine.begin() as conn:
        conn.execute(_INSERT_USERS, {"ids": ids, "email_domain": FIXTURE_EMAIL_DOMAIN})
    return ids


def make_admin(engine: Engine, user_id: str) -> None:
    with engine.begin() as conn:
        conn.execute(text("update users set role = 'admin' where id = :id"), {"id": user_id})


def create_posts(engine: Engine, owner_id: str, count: int) -> list[str]:
    ids = [new_id() for _ in range(count)]
    with engine.begin() as conn:
        conn.execute(_INSERT_POSTS, {"ids": ids, "owner": owner_id})
    return ids


def init_caches(memberships: MembershipStore, owner_id: str, post_ids: Sequence[str]) -> None:
    """Loads what Redis keeps of the posts and their owner, as a first read does."""
    memberships.cache_loader.cache_as_empty(USER_FOLLOWS, owner_id, owner_id)
    for post_id in post_ids:
        memberships.cache_loader.cache_as_empty(POST_LIKES, post_id, owner_id)
