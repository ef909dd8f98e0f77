"""Other ways to write likes: what the flusher is measured against, in the same table.

In    a crowd and a fresh post
Out   a slice: rows, seconds, transactions
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any

import gevent
import psycopg2
import psycopg2.extensions
from sqlalchemy import text

from app.wiring import WorkerParts
from bench.figures import Slice
from bench.people import posts

CONNECTIONS = 64
_COLUMNS = "(post_id, user_id, seq, active, created_at, updated_at)"
_ROW = f"insert into likes {_COLUMNS} values (%s, %s, %s, true, now(), now())"  # noqa: S608
_UNNEST = f"""
    insert into likes {_COLUMNS} select %s, u, s, true, now(), now()
    from unnest(%s::uuid[], %s::bigint[]) as n (u, s)
"""  # noqa: S608 - constants only
_FROM_COPY = f"insert into likes {_COLUMNS} select p, u, s, true, now(), now() from copied"  # noqa: S608


@dataclass
class Crowd:
    """Who likes, and whose posts they like."""

    url: str
    parts: WorkerParts
    owner: str
    likers: list[str]

    def post(self) -> str:
        return posts(self.parts.parts.engine, self.owner, 1)[0]

    def write_transactions(self) -> int:
        """The next transaction number: only writing transactions take one."""
        query = text("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        with self.parts.parts.engine.connect() as sql:
            return int(sql.execute(query).scalar_one())


Write = Callable[[Crowd, Any, str, int], None]


def timed(crowd: Crowd, rows: int, write: Write, green: bool = False) -> Slice:
    post, before = crowd.post(), crowd.write_transactions()
    with _waiting(green), connection(crowd) as link:
        began = time.perf_counter()
        write(crowd, link, post, rows)
        link.commit()
        seconds = time.perf_counter() - began
    return Slice(rows, seconds, transactions=crowd.write_transactions() - before)


def unnest(crowd: Crowd, link: Any, post: str, rows: int) -> None:
    with link.cursor() as cursor:
        cursor.execute(_UNNEST, (post, crowd.likers[:rows], list(range(1, rows + 1))))


def copy(crowd: Crowd, link: Any, post: str, rows: int) -> None:
    lines = StringIO("".join(f"{post}\t{liker}\t1\n" for liker in crowd.likers[:rows]))
    with link.cursor() as cursor:
        cursor.execute("create temporary table copied (p uuid, u uuid, s bigint) on commit drop")
        cursor.copy_expert("copy copied from stdin", lines)
        cursor.execute(_FROM_COPY)


def many(crowd: Crowd, link: Any, post: str, rows: int) -> None:
    with link.cursor() as cursor:
        cursor.executemany(_ROW, [(post, liker, 1) for liker in crowd.likers[:rows]])


def one_by_one(crowd: Crowd, link: Any, post: str, rows: int) -> None:
    _like_each(link, post, crowd.likers[:rows])


def crowding(crowd: Crowd, _: Any, post: str, rows: int) -> None:
    """One connection each, all on the same row of posts."""

    def like(some: list[str]) -> None:
        with connection(crowd) as link:
            _like_each(link, post, some)

    shares = [crowd.likers[first:rows:CONNECTIONS] for first in range(CONNECTIONS)]
    gevent.joinall([gevent.spawn(like, share) for share in shares], raise_error=True)


def _like_each(link: Any, post: str, likers: list[str]) -> None:
    for liker in likers:
        with link.cursor() as cursor:
            cursor.execute(_ROW, (post, liker, 1))
            cursor.execute("update posts set like_count = like_count + 1 where id = %s", (post,))
        link.commit()


@contextmanager
def connection(crowd: Crowd) -> Iterator[Any]:
    link = psycopg2.connect(crowd.url)
    try:
        yield link
        if not link.autocommit:
            link.commit()
    finally:
        link.close()


@contextmanager
def _waiting(green: bool) -> Iterator[None]:
    """One connection is faster without gevent's way of waiting, and COPY needs it off."""
    kept = psycopg2.extensions.get_wait_callback()
    if not green:
        psycopg2.extensions.set_wait_callback(None)
    try:
        yield
    finally:
        psycopg2.extensions.set_wait_callback(kept)
