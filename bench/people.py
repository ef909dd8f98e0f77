"""People, posts and tokens, made in bulk."""

import time
from collections.abc import Sequence

import jwt
import uuid_utils
from sqlalchemy import Engine, text

from app.stores.memberships import Memberships
from app.stores.subjects import PERSON, POST
from app.wiring import new_id

OURS = "@bench.invalid"
TOKEN_SECONDS = 6 * 3600

_USERS = text("""
    insert into users (id, email, username, name)
    select id, id || :ours, 'bench_' || replace(id::text, '-', ''), 'Bench ' || n
    from unnest(cast(:ids as uuid[])) with ordinality as made (id, n)
""")
_POSTS = text("""
    insert into posts (id, user_id, caption) select unnest(cast(:ids as uuid[])), :owner, 'bench'
""")


def people(engine: Engine, count: int) -> list[str]:
    """New users; their ids."""
    ids = [new_id() for _ in range(count)]
    with engine.begin() as sql:
        sql.execute(_USERS, {"ids": ids, "ours": OURS})
    return ids


def posts(engine: Engine, owner: str, count: int) -> list[str]:
    ids = [new_id() for _ in range(count)]
    with engine.begin() as sql:
        sql.execute(_POSTS, {"ids": ids, "owner": owner})
    return ids


def warm(memberships: Memberships, owner: str, post_ids: Sequence[str]) -> None:
    """Known to Redis, as they are once anybody has looked."""
    memberships.warming.born(PERSON, owner, owner)
    for post_id in post_ids:
        memberships.warming.born(POST, post_id, owner)


def token(user_id: str, secret: str) -> str:
    """An access token as the log-in mints it."""
    now = int(time.time())
    claims = {
        "sub": user_id,
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "jti": str(uuid_utils.uuid4()),
        "type": "access",
        "fresh": False,
    }
    return jwt.encode(claims, secret, algorithm="HS256")
