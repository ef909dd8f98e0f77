"""Counts afresh: from the rows in PostgreSQL, from the sets in Redis.

In    python -m app.admin rebuild-counts
Out   posts.like_count, posts.comment_count, users.follower_count; like:count:*, follow:count:*

Safe beside a running pipeline. In PostgreSQL a page of rows is locked first and counted in a second
statement: whoever counted before us is committed and seen, whoever comes after us waits for the
lock and adds to what we wrote. A row that is inserted but not yet counted is invisible to us, and
its writer adds it. In Redis a set is newer than any table, so it is never overwritten from one:
only its count is made to agree with it, in one step. A set that is itself wrong is not repaired
here: that needs a drained pipeline (no ingress, no lag, no window), and then deleting its count and
set is enough, since the next reader loads both.
"""

from collections.abc import Iterator

import redis
from sqlalchemy import Engine, text

from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import script, speaking

PAGE = 500
FIRST = "00000000-0000-0000-0000-000000000000"


class Recount:
    def __init__(self, engine: Engine, connection: redis.Redis) -> None:
        self._engine = engine
        self._redis = connection
        self._recount = script(connection, "recount")

    def rebuild(self) -> Iterator[tuple[str, int]]:
        """What was looked through, and how many counts were wrong."""
        for table, correction in _CORRECTIONS.items():
            yield table, sum(self._pages(table, correction))
        for prefix in ("like", "follow"):
            yield f"{prefix}:count", sum(self._sets(prefix))

    def _pages(self, table: str, correction: str) -> Iterator[int]:
        last = FIRST
        while True:
            with asking_postgres("count afresh"), self._engine.begin() as sql:
                lock = text(_LOCK.format(table=table))
                ids = list(sql.execute(lock, {"last": last, "page": PAGE}).scalars())
                if not ids:
                    return
                yield sql.execute(text(correction), {"ids": ids}).rowcount
            last = ids[-1]

    def _sets(self, prefix: str) -> Iterator[int]:
        with speaking("count afresh"):
            page: list[str] = []
            for name in self._redis.scan_iter(f"{prefix}:count:*", count=PAGE):
                page += [str(name), str(name).replace(":count:", ":users:", 1)]
                if len(page) >= 2 * PAGE:
                    yield int(self._recount(keys=page))
                    page = []
            if page:
                yield int(self._recount(keys=page))


_LOCK = (
    "select id::text from {table} where id > cast(:last as uuid) order by id limit :page "
    "for no key update"
)
_CORRECTIONS = {
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
