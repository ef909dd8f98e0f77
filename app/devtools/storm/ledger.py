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
class WrittenCounts:
    written: int
    """Active likes and comments."""
    announced: int | None
    """Likes and comments that announcements to the author have counted. None: this way announces nothing."""
    announced_once: int | None
    """The same without those that were counted more than once."""
    queued: int
    """Events in the fallback queue, which wait for Kafka."""


@dataclass
class Ledger:
    accepted: int = 0
    written: int = 0
    announced: int | None = None
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
            written = int(conn.execute(_count_rows(self.schema), params).scalar_one())
            if not self.announces:
                return WrittenCounts(written, None, None, 0)
            announced, announced_once, queued = conn.execute(_COUNT_ANNOUNCED, params).one()
        return WrittenCounts(written, int(announced), int(announced_once), int(queued))

    def check(self, request_log_path: Path) -> Ledger:
        """Compares the request log with the stores, after everything was written. Raises Unavailable."""
        request_log = read_request_log(request_log_path)
        stored = self._read_stored_writes()
        lost, unexpected = check_memberships(request_log, stored)
        for found, others in zip((lost, unexpected), check_comments(request_log, stored), strict=True):
            found += others
        counts = self.count_written()
        ledger = Ledger(_count_accepted(request_log), counts.written, counts.announced, len(lost))
        ledger.problems = lost + unexpected
        ledger.doubled = len(unexpected)
        if counts.announced is not None and counts.announced_once is not None:
            self._check_announcements(ledger, counts.announced, counts.announced_once)
        return ledger

    def _check_announcements(self, ledger: Ledger, announced: int, announced_once: int) -> None:
        expected = self._count_expected_announcements()
        if announced_once < expected:
            ledger.lost = (ledger.lost or 0) + expected - announced_once
            ledger.problems.append(f"{expected - announced_once} were written and never announced")
        ledger.doubled = (ledger.doubled or 0) + announced - announced_once
        with translate_errors("check the invariants"):
            invariants = StoreInvariants(self.engine, self.redis, [self.author_id])
            ledger.problems += invariants.find_violations_of_recipients()

    def _count_expected_announcements(self) -> int:
        """Each like and, per post, each commenter."""
        with translate_errors("count the rows of a storm"), self.engine.connect() as conn:
            return int(conn.execute(_COUNT_EXPECTED, {"posts": list(self.post_ids)}).scalar_one())

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
    return text(f"""
        select (select count(*) from {schema}.likes where active and post_id = any(cast(:posts as uuid[])))
            + (select count(*) from {schema}.comments
                where active and post_id = any(cast(:posts as uuid[])))
    """)  # noqa: S608 - constants only


def _select_rows(schema: str) -> tuple[Any, Any]:
    of_posts = "where post_id = any(cast(:posts as uuid[]))"
    return (
        text(f"select post_id::text, user_id::text, active from {schema}.likes {of_posts}"),  # noqa: S608
        text(f"select content from {schema}.comments {of_posts} and active"),  # noqa: S608
    )


_COUNT_ANNOUNCED = text("""
    select
        (select coalesce(sum((payload->'metadata'->>'newCount')::int), 0) from outbox
            where user_id = :author and client_event = 'notification'),
        (select count(distinct (n.type, n.object_id, a.actor_id)) from notifications n
            join notification_actors a on a.notification_id = n.id
            where n.user_id = :author and a.announced),
        (select count(*) from kafka_fallback_queue where not processed)
""")
_COUNT_EXPECTED = text("""
    select (select count(*) from likes where active and post_id = any(cast(:posts as uuid[])))
        + (select count(distinct (post_id, user_id)) from comments
            where active and post_id = any(cast(:posts as uuid[])))
""")
_SELECT_ANNOUNCEMENTS = text(
    "select payload from outbox where user_id = :author and client_event = 'notification' order by id"
)
