"""Other ways to write likes into the same table, compared with the flusher in S2."""

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

from app.bootstrap import WorkerServices
from bench.results import Measurement
from harness.fixtures import create_posts

CONNECTION_COUNT = 64
_COLUMNS = "(post_id, user_id, seq, active, created_at, updated_at)"
_INSERT_LIKE = f"insert into likes {_COLUMNS} values (%s, %s, %s, true, now(), now())"  # noqa: S608
_INSERT_LIKES_FROM_COPY = f"insert into likes {_COLUMNS} select p, u, s, true, now(), now() from copied"  # noqa: S608


@dataclass
class Likers:
    """The users who like, and the owner of the posts."""

    database_url: str
    worker_services: WorkerServices
    owner_id: str
    user_ids: list[str]

    def create_post(self) -> str:
        return create_posts(self.worker_services.services.engine, self.owner_id, 1)[0]

    def next_transaction_id(self) -> int:
        """Only writing transactions take an id, so the difference of two counts them."""
        query = text("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        with self.worker_services.services.engine.connect() as conn:
            return int(conn.execute(query).scalar_one())


WriteLikes = Callable[[Likers, Any, str, int], None]


def measure_write(
    likers: Likers, row_count: int, write_likes: WriteLikes, use_gevent: bool = False
) -> Measurement:
    post_id, first_transaction_id = likers.create_post(), likers.next_transaction_id()
    with _psycopg2_wait_callback(use_gevent), connect(likers) as conn:
        started_at = time.perf_counter()
        write_likes(likers, conn, post_id, row_count)
        conn.commit()
        seconds = time.perf_counter() - started_at
    return Measurement(
        row_count, seconds, write_transactions=likers.next_transaction_id() - first_transaction_id
    )


def write_with_copy(likers: Likers, conn: Any, post_id: str, row_count: int) -> None:
    lines = StringIO("".join(f"{post_id}\t{user_id}\t1\n" for user_id in likers.user_ids[:row_count]))
    with conn.cursor() as cursor:
        cursor.execute("create temporary table copied (p uuid, u uuid, s bigint) on commit drop")
        cursor.copy_expert("copy copied from stdin", lines)
        cursor.execute(_INSERT_LIKES_FROM_COPY)


def write_one_by_one(likers: Likers, conn: Any, post_id: str, row_count: int) -> None:
    _write_each_like(conn, post_id, likers.user_ids[:row_count])


def write_concurrently(likers: Likers, _: Any, post_id: str, row_count: int) -> None:
    """Several connections, all updating the same row of posts."""

    def write_likes_of(user_ids: list[str]) -> None:
        with connect(likers) as conn:
            _write_each_like(conn, post_id, user_ids)

    user_ids_by_connection = [
        likers.user_ids[first:row_count:CONNECTION_COUNT] for first in range(CONNECTION_COUNT)
    ]
    gevent.joinall(
        [gevent.spawn(write_likes_of, user_ids) for user_ids in user_ids_by_connection],
        raise_error=True,
    )


def _write_each_like(conn: Any, post_id: str, user_ids: list[str]) -> None:
    for user_id in user_ids:
        with conn.cursor() as cursor:
            cursor.execute(_INSERT_LIKE, (post_id, user_id, 1))
            cursor.execute("update posts set like_count = like_count + 1 where id = %s", (post_id,))
        conn.commit()


@contextmanager
def connect(likers: Likers) -> Iterator[Any]:
    conn = psycopg2.connect(likers.database_url)
    try:
        yield conn
        if not conn.autocommit:
            conn.commit()
    finally:
        conn.close()


@contextmanager
def _psycopg2_wait_callback(use_gevent: bool) -> Iterator[None]:
    """Without gevent a single connection is faster, and COPY does not work with its wait callback."""
    previous_callback = psycopg2.extensions.get_wait_callback()
    if not use_gevent:
        psycopg2.extensions.set_wait_callback(None)
    try:
        yield
    finally:
        psycopg2.extensions.set_wait_callback(previous_callback)
