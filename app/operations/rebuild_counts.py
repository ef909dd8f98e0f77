"""Rebuild counts: recounts likes, comments and followers from rows in PostgreSQL and from sets in Redis.

Used by python -m app.admin rebuild-counts. Output: posts.like_count, posts.comment_count,
users.follower_count; like:count:*, follow:count:*.

Safe while the pipeline runs. In PostgreSQL a page of rows is locked first and counted in a second
statement: a writer that counted before is committed and visible; a later one waits for the lock and adds to
the new count. A row that is inserted but not counted yet is invisible here, and its writer adds it. In
Redis a set is newer than any table, so it is never overwritten: only its count is set to its size, in one
step. An object with too many members for a set is loaded again once its events are written. A wrong set is
not repaired: that needs a drained pipeline (no ingress entries, no lag, no windows) and deleting its count
and set, which the next reader then loads.
"""

from collections.abc import Iterator, Sequence

import redis
from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import register_script, translate_errors
from app.domain.events import Kind
from app.persistence import membership_keys

PAGE_SIZE = 500
MIN_UUID = "00000000-0000-0000-0000-000000000000"


class CountRebuilder:
    def __init__(self, engine: Engine, connection: redis.Redis) -> None:
        self._engine = engine
        self._redis = connection
        self._recount_sets = register_script(connection, "operations/correct_counts")

    def rebuild_counts(self) -> Iterator[tuple[str, int]]:
        """Name of each group of counts, and how many were wrong."""
        for table, update_sql in _COUNT_UPDATES.items():
            yield table, sum(self._rebuild_table_counts(table, update_sql))
        for prefix, kind in (("like", Kind.LIKE), ("follow", Kind.FOLLOW)):
            yield f"{prefix}:count", sum(self._rebuild_redis_counts(prefix, kind))

    def _rebuild_table_counts(self, table: str, update_sql: str) -> Iterator[int]:
        last_id = MIN_UUID
        while True:
            with translate_postgres_errors("rebuild counts"), self._engine.begin() as conn:
                lock_rows = text(_LOCK_PAGE.format(table=table))
                ids = list(conn.execute(lock_rows, {"last": last_id, "page": PAGE_SIZE}).scalars())
                if not ids:
                    return
                yield conn.execute(text(update_sql), {"ids": ids}).rowcount
            last_id = ids[-1]

    def _rebuild_redis_counts(self, prefix: str, kind: Kind) -> Iterator[int]:
        with translate_errors("rebuild counts"):
            object_ids_by_idle_key: dict[str, list[str]] = {}
            for count_key in self._redis.scan_iter(f"{prefix}:count:*", count=PAGE_SIZE):
                object_id = str(count_key).split(":")[2]
                object_ids = object_ids_by_idle_key.setdefault(membership_keys.idle_key(object_id), [])
                object_ids.append(object_id)
                if len(object_ids) >= PAGE_SIZE:
                    yield self._rebuild_page(kind, object_ids)
                    object_ids.clear()
            for object_ids in object_ids_by_idle_key.values():
                yield self._rebuild_page(kind, object_ids)

    def _rebuild_page(self, kind: Kind, object_ids: Sequence[str]) -> int:
        if not object_ids:
            return 0
        keys = [membership_keys.idle_key(object_ids[0])]
        for object_id in object_ids:
            keys += [
                membership_keys.count_key(kind, object_id),
                membership_keys.members_key(kind, object_id),
                membership_keys.large_key(kind, object_id),
            ]
        names = [membership_keys.idle_set_entry(kind, object_id) for object_id in object_ids]
        return int(self._recount_sets(keys=keys, args=names))


_LOCK_PAGE = (
    "select id::text from {table} where id > cast(:last as uuid) "
    "order by {table}.id limit :page for no key update"
)
_COUNT_UPDATES = {
    "posts": """
        update posts set like_count = n.likes, comment_count = n.comments from (
            select p.id,
                (select count(*) from likes where post_id = p.id and active) as likes,
                (select count(*) from comments where post_id = p.id and active) as comments
            from unnest(cast(:ids as uuid[])) as p (id)) n
        where posts.id = n.id and (like_count, comment_count) is distinct from (n.likes, n.comments)
    """,
    "users": """
        update users set follower_count = n.followers from (
            select u.id,
                (select count(*) from follows where following_id = u.id and active) as followers
            from unnest(cast(:ids as uuid[])) as u (id)) n
        where users.id = n.id and follower_count is distinct from n.followers
    """,
}
