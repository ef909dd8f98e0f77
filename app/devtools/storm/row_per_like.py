"""One row per like: the conventional way, with which a storm compares the pipeline.

A schema of its own has tables with the columns, keys and indexes of `posts`, `likes` and `comments`. Each
request writes its row and the counter of its post and commits, on a connection from a pool. It is served by
the same web process under the same authentication (blueprints/testing/row_per_like.py), and exists during a
storm only.
"""

from collections.abc import Sequence

import uuid_utils
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from app.clients.postgres import create_pg_engine, translate_errors
from app.domain.errors import define_rejection

SCHEMA = "storm_row_per_like"
POOL_SIZE = 20
POST_NOT_FOUND = define_rejection("Post not found", "post_not_found", 404)


def create_pool(database_url: str) -> Engine:
    """Not an engine of the web process, which tests each connection before its use: that would be a second
    transaction and a round trip per like."""
    return create_pg_engine(database_url, application="row-per-like", pool_size=POOL_SIZE)


def create_tables(engine: Engine, post_ids: Sequence[str]) -> None:
    """Creates the schema with these posts, in place of that of an earlier storm. Raises Unavailable."""
    with translate_errors("create the tables of a storm"), engine.begin() as conn:
        for statement in (_DROP, *_CREATE):
            conn.execute(statement)
        conn.execute(_COPY_POSTS, {"ids": list(post_ids)})


def drop_tables(engine: Engine) -> None:
    """Raises Unavailable."""
    with translate_errors("drop the tables of a storm"), engine.begin() as conn:
        conn.execute(_DROP)


class RowPerLike:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_like(self, user_id: str, post_id: str) -> int:
        """Returns the number of likes of the post. Raises Rejected (404) and Unavailable."""
        try:
            with translate_errors("write a like"), self._engine.begin() as conn:
                return _write_row(conn, _INSERT_LIKE, _ADD_LIKE, {"post": post_id, "user": user_id})
        except (IntegrityError, ProgrammingError) as exc:
            raise POST_NOT_FOUND from exc  # or no storm runs

    def add_comment(self, user_id: str, post_id: str, content: str) -> str:
        """Returns the id of the comment. Raises Rejected (404) and Unavailable."""
        comment_id = str(uuid_utils.uuid7())
        params = {"id": comment_id, "post": post_id, "user": user_id, "content": content}
        try:
            with translate_errors("write a comment"), self._engine.begin() as conn:
                _write_row(conn, _INSERT_COMMENT, _ADD_COMMENT, params)
        except (IntegrityError, ProgrammingError) as exc:
            raise POST_NOT_FOUND from exc
        return comment_id


def _write_row(conn: Connection, insert: object, add_to_count: object, params: dict[str, str]) -> int:
    added = conn.execute(insert, params).rowcount  # type: ignore[call-overload]
    count = conn.execute(add_to_count, {"post": params["post"], "added": added}).scalar()  # type: ignore[call-overload]
    if count is None:
        raise POST_NOT_FOUND
    return int(count)


_DROP = text(f"drop schema if exists {SCHEMA} cascade")
_CREATE = (
    text(f"create schema {SCHEMA}"),
    # Defaults, checks, keys and indexes are copied; foreign keys are not.
    *(
        text(f"create table {SCHEMA}.{table} (like public.{table} including all)")
        for table in ("posts", "likes", "comments")
    ),
    *(
        text(
            f"alter table {SCHEMA}.{table} "
            f"add foreign key (post_id) references {SCHEMA}.posts (id) on delete cascade, "
            "add foreign key (user_id) references public.users (id) on delete cascade"
        )
        for table in ("likes", "comments")
    ),
)
_COPY_POSTS = text(
    f"insert into {SCHEMA}.posts select * from public.posts where id = any(cast(:ids as uuid[]))"  # noqa: S608
)
_INSERT_LIKE = text(
    f"insert into {SCHEMA}.likes (post_id, user_id) values (:post, :user) on conflict do nothing"  # noqa: S608
)
_INSERT_COMMENT = text(
    f"insert into {SCHEMA}.comments (id, post_id, user_id, content) "  # noqa: S608 - a constant
    "values (:id, :post, :user, :content)"
)
_ADD_LIKE = text(
    f"update {SCHEMA}.posts set like_count = like_count + :added where id = :post returning like_count"  # noqa: S608
)
_ADD_COMMENT = text(
    f"update {SCHEMA}.posts set comment_count = comment_count + :added "  # noqa: S608 - a constant
    "where id = :post returning comment_count"
)
