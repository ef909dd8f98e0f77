"""The ledger of a storm: what was accepted, written and announced, and what is lost or doubled.

Accepted comes from the load generator; the rest from PostgreSQL. While the storm runs only counts are read;
at the end the checker of the drills (app/devtools/checker/) compares the request log with the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors
from app.devtools.checker.request_log import ACKNOWLEDGED, RequestLog, read_request_log
from app.devtools.checker.store_invariants import StoreInvariants
from app.devtools.checker.write_checks import StoredWrites, check_comments, check_memberships
from app.persistence.serializer import render_payloads

MAX_MESSAGES, MAX_PROBLEMS = 8, 10


@dataclass(frozen=True, slots=True)
class AnnouncementCounts:
    """Compared per kind and post, so that an announcement too few does not hide one too many."""

    published: int
    """Likes and comments in the announcements that the outbox relay has published."""
    announced_actors: int
    """Likes and commenters that the rows of notifications call announced, each once."""
    doubled: int
    """Published more often than once."""
    unpublished: int
    """Announced in the rows, and not published yet."""
    queued: int
    """Events in the fallback queue, which wait for Kafka."""


@dataclass(frozen=True, slots=True)
class WrittenCounts:
    written: int
    """Active likes and comments."""
    to_announce: int
    """Active likes and, per post, each commenter once."""
    announcements: AnnouncementCounts | None
    """None: this way announces nothing."""

    @property
    def is_all_announced(self) -> bool:
        """Whether nothing that is written waits to be announced."""
        counts = self.announcements
        return counts is None or (counts.announced_actors >= self.to_announce and counts.unpublished == 0)


@dataclass
class Ledger:
    accepted: int = 0
    written: int = 0
    announced: int | None = None
    """Published by the outbox relay. None: this way announces nothing."""
    lost: int | None = None
    """None until it was checked."""
    doubled: int | None = None
    problems: list[str] = field(default_factory=list)
    """What the checker found; at most MAX_PROBLEMS."""

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {"problems": self.problems[:MAX_PROBLEMS]}


@dataclass(frozen=True)
class StormStores:
    """Where one way of a storm writes. `schema`: of its tables."""

    engine: Engine
    redis: "redis.Redis"
    schema: str
    author_id: str
    post_ids: Sequence[str]
    announces: bool

    def count_written(self) -> WrittenCounts:
        """Raises Unavailable."""
        params = {"posts": list(self.post_ids), "author": self.author_id}
        with translate_errors("count the rows of a storm"), self.engine.connect() as conn:
            likes, comments, commenters = conn.execute(_count_rows(self.schema), params).one()
            announcements = None
            if self.announces:
                announcements = AnnouncementCounts(*map(int, conn.execute(_COUNT_ANNOUNCED, params).one()))
        return WrittenCounts(int(likes + comments), int(likes + commenters), announcements)

    def find_lost_writes(self, request_log: RequestLog) -> tuple[list[str], list[str]]:
        """Descriptions of lost writes and of unexpected rows. Raises Unavailable."""
        stored = self._read_stored_writes()
        lost, unexpected = check_memberships(request_log, stored)
        lost_comments, unexpected_comments = check_comments(request_log, stored)
        return lost + lost_comments, unexpected + unexpected_comments

    def check(self, request_log_path: Path) -> Ledger:
        """Compares the request log with the stores, after everything was written. Raises Unavailable."""
        request_log = read_request_log(request_log_path)
        lost, unexpected = self.find_lost_writes(request_log)
        counts = self.count_written()
        ledger = Ledger(_count_accepted(request_log), counts.written, None, len(lost), len(unexpected))
        ledger.problems = lost + unexpected
        if counts.announcements is not None:
            self._check_announcements(ledger, counts.to_announce, counts.announcements)
        return ledger

    def _check_announcements(self, ledger: Ledger, to_announce: int, counts: AnnouncementCounts) -> None:
        never_announced = max(0, to_announce - counts.announced_actors)
        ledger.announced = counts.published
        ledger.lost = (ledger.lost or 0) + never_announced + counts.unpublished
        ledger.doubled = (ledger.doubled or 0) + counts.doubled
        for count, what in (
            (never_announced, "were written and never announced"),
            (counts.unpublished, "were announced in the rows and never published"),
            (counts.doubled, "were published twice"),
        ):
            ledger.problems += [f"{count} {what}"] if count else []
        with translate_errors("check the invariants"):
            invariants = StoreInvariants(self.engine, self.redis, [self.author_id])
            ledger.problems += invariants.find_violations_of_recipients()

    def _read_stored_writes(self) -> StoredWrites:
        params = {"posts": list(self.post_ids)}
        likes, comments = _select_rows(self.schema)
        with translate_errors("read the rows of a storm"), self.engine.connect() as conn:
            memberships = {(row[0], row[1]): row[2] for row in conn.execute(likes, params)}
            texts = list(conn.execute(comments, params).scalars())
        return StoredWrites({"likes": memberships}, texts)

    def read_messages(self) -> tuple[int, list[str]]:
        """How many announcements the author got, and the texts of the first and the last of them. Raises
        Unavailable."""
        params = {"author": self.author_id}
        with translate_errors("read the announcements"), self.engine.connect() as conn:
            payloads = list(conn.execute(_SELECT_ANNOUNCEMENTS, params).scalars())
            half = MAX_MESSAGES // 2
            shown = payloads if len(payloads) <= MAX_MESSAGES else payloads[:half] + payloads[-half:]
            return len(payloads), [str(payload["message"]) for payload in render_payloads(conn, shown)]


def _count_accepted(request_log: RequestLog) -> int:
    return sum(attempt.outcome == ACKNOWLEDGED for attempt in request_log.attempts)


def _count_rows(schema: str) -> Any:
    of_posts = "active and post_id = any(cast(:posts as uuid[]))"
    return text(f"""
        select (select count(*) from {schema}.likes where {of_posts}),
            count(*), count(distinct (post_id, user_id))
        from {schema}.comments where {of_posts}
    """)  # noqa: S608 - constants only


def _select_rows(schema: str) -> tuple[Any, Any]:
    of_posts = "where post_id = any(cast(:posts as uuid[]))"
    return (
        text(f"select post_id::text, user_id::text, active from {schema}.likes {of_posts}"),  # noqa: S608
        text(f"select content from {schema}.comments {of_posts} and active"),  # noqa: S608
    )


_COUNT_ANNOUNCED = text("""
    with published as (
        select n.type, n.object_id, sum((o.payload->'metadata'->>'newCount')::int) as count
        from outbox o join notifications n on n.id = (o.payload->>'id')::uuid
        where o.user_id = :author and o.client_event = 'notification' and o.published_at is not null
        group by n.type, n.object_id),
    announced as (
        select n.type, n.object_id, count(distinct a.actor_id) as count
        from notifications n join notification_actors a on a.notification_id = n.id
        where n.user_id = :author and a.announced
        group by n.type, n.object_id),
    compared as (
        select coalesce(published.count, 0) as published, coalesce(announced.count, 0) as announced
        from published full join announced using (type, object_id))
    select coalesce(sum(published), 0), coalesce(sum(announced), 0),
        coalesce(sum(greatest(0, published - announced)), 0),
        coalesce(sum(greatest(0, announced - published)), 0),
        (select count(*) from kafka_fallback_queue where not processed)
    from compared
""")
_SELECT_ANNOUNCEMENTS = text(
    "select payload from outbox where user_id = :author and client_event = 'notification' order by id"
)
