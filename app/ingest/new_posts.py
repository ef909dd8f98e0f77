"""Stores a post together with the request to announce it, in one transaction.

In: app/ingest/post_actions.py. Out: the tables posts and fan_outs. When the answer of the commit is lost, the
table is asked whether the post exists, so that a post that was answered with an error does not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from app.clients.postgres import translate_errors
from app.domain.errors import Unavailable
from app.domain.events import Event
from app.failpoints import hit_failpoint
from app.ingest.membership_kinds import USER_FOLLOWS
from app.persistence.fan_outs import Audience, insert_fan_out


@dataclass(frozen=True, slots=True)
class NewPost:
    id: str
    author_id: str
    caption: str | None
    image_url: str | None


def store_post(engine: Engine, post: NewPost, post_event: Event, mention_events: Sequence[Event]) -> None:
    """Stores the post and its fan-out. A repeated call changes nothing. Raises Rejected (404) for an author
    whose account was deleted, Unavailable if nothing was stored."""
    is_committing = False
    try:
        with _translate_missing_author(), translate_errors("store the post"), engine.begin() as conn:
            _lock_post_id(conn, post.id)
            conn.execute(_INSERT_POST, asdict(post))
            hit_failpoint("web.post_inserted")
            insert_fan_out(conn, post_event, Audience.SUBSCRIBERS, mention_events)
            hit_failpoint("web.post_before_commit")
            is_committing = True
    except Unavailable:
        if not is_committing or not _was_stored(engine, post.id):
            raise
    hit_failpoint("web.post_committed")


def _was_stored(engine: Engine, post_id: str) -> bool:
    """Whether the transaction took effect. The lock waits for its end on the server. Raises Unavailable if
    PostgreSQL does not answer in time."""
    with translate_errors("find the post"), engine.begin() as conn:
        _lock_post_id(conn, post_id)
        return conn.execute(text("select 1 from posts where id = :id"), {"id": post_id}).scalar() is not None


def _lock_post_id(conn: Connection, post_id: str) -> None:
    conn.execute(text("select pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": post_id})


@contextmanager
def _translate_missing_author() -> Iterator[None]:
    """Raises Rejected (404) for an author whose account was deleted while the access token is valid."""
    try:
        yield
    except IntegrityError as exc:
        raise USER_FOLLOWS.not_found_error from exc


_INSERT_POST = text(
    "insert into posts (id, user_id, caption, image_url) "
    "values (:id, :author_id, :caption, :image_url) on conflict (id) do nothing"
)
