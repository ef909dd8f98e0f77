"""Invariants of PostgreSQL and Redis that hold when no work is pending.

invariants = StoreInvariants(engine, redis)
assert invariants.find_violations() == []
assert StoreInvariants(engine, redis, [author_id]).find_violations_of_recipients() == []
assert invariants.read_memberships("likes") == {(post_id, user_id): True, ...}
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from sqlalchemy import Engine, text

from app.devtools.checker.write_checks import MembershipStates
from app.domain.events import FAN_OUT_KINDS, UNGROUPED_KINDS

_MEMBERSHIP_QUERIES = {
    "likes": "select post_id::text, user_id::text, active from likes",
    "follows": "select following_id::text, follower_id::text, active from follows",
}


def _is_checked(column: str) -> str:
    """A condition: the user is one of `recipient_ids`, or all are checked."""
    return f"(cast(:recipients as uuid[]) is null or {column} = any(cast(:recipients as uuid[])))"


_COUNT_QUERIES = {
    "LIKE": (
        "like",
        "select p.id::text, p.like_count, count(l.user_id) from posts p "  # noqa: S608 - constants only
        f"left join active_likes l on l.post_id = p.id where {_is_checked('p.user_id')} group by p.id",
    ),
    "FOLLOW": (
        "follow",
        "select u.id::text, u.follower_count, count(f.follower_id) from users u "  # noqa: S608
        "left join follows f on f.following_id = u.id and f.active "
        f"where {_is_checked('u.id')} group by u.id",
    ),
    "COMMENT": (
        "comment",
        "select p.id::text, p.comment_count, count(c.id) from posts p "  # noqa: S608
        "left join comments c on c.post_id = p.id and c.active "
        f"where {_is_checked('p.user_id')} group by p.id",
    ),
}
"""Notification type -> prefix of its Redis key; query of object id, stored count and row count."""
_EXPECTED_ACTORS_QUERIES = {
    "LIKE": "select l.post_id::text, l.user_id::text from active_likes l "  # noqa: S608 - constants only
    f"join posts p on p.id = l.post_id and p.user_id <> l.user_id where {_is_checked('p.user_id')}",
    "FOLLOW": "select following_id::text, follower_id::text from follows "  # noqa: S608
    f"where active and {_is_checked('following_id')}",
    "COMMENT": "select distinct c.post_id::text, c.user_id::text from comments c "  # noqa: S608
    "join posts p on p.id = c.post_id and p.user_id <> c.user_id "
    f"where c.active and {_is_checked('p.user_id')}",
}
_GROUP_ACTORS_QUERY = (
    "select n.object_id::text, a.actor_id::text, a.active, a.announced from notifications n "  # noqa: S608
    "join notification_actors a on a.notification_id = n.id "
    f"where n.type = :kind and {_is_checked('n.user_id')}"
)
_PENDING_KEY_PATTERNS = (
    "window:*",
    "closing:*",
    "windows:min_offset:*",
    "comment:pending:*",
    "like:unwritten:*",
    "follow:unwritten:*",
)


@dataclass(frozen=True)
class StoreInvariants:
    engine: Engine
    redis: "redis.Redis"
    recipient_ids: Sequence[str] | None = None
    """None: of all users. Else only posts, groups and client events of these users are checked."""

    def read_memberships(self, table: str) -> MembershipStates:
        """(object id, user id) -> active, from the table."""
        return {(row[0], row[1]): row[2] for row in self._query(_MEMBERSHIP_QUERIES[table])}

    def find_violations(self) -> list[str]:
        """Descriptions of all violations."""
        return [*self._check_nothing_pending(), *self.find_violations_of_recipients()]

    def find_violations_of_recipients(self) -> list[str]:
        """As find_violations(), without what is pending, which may concern other users."""
        return [
            *self._check_counts(),
            *self._check_groups(),
            *self._check_announcements(),
            *self._check_client_events(),
            *self._check_unread_counts(),
        ]

    def find_pending_work(self) -> list[str]:
        """Descriptions of work that is still pending."""
        return self._check_nothing_pending()

    def _check_nothing_pending(self) -> list[str]:
        pending_counts = {
            "unpublished outbox rows": self._query_int(
                "select count(*) from outbox where published_at is null"
            ),
            "rows in the fallback queue": self._query_int(
                "select count(*) from kafka_fallback_queue where not processed"
            ),
            "unfinished fan-outs": self._query_int("select count(*) from fan_outs where finished_at is null"),
            "windows": self.redis.zcard("windows:due"),
            "entries in the ingress": sum(self.redis.xlen(f"ingress:{n}") for n in range(5)),
        }
        for pattern in _PENDING_KEY_PATTERNS:
            pending_counts[f"keys {pattern}"] = len(list(self.redis.scan_iter(pattern, count=1000)))
        for shard in range(5):
            if self.redis.exists(f"ingress:{shard}"):
                pending_counts[f"pending in ingress:{shard}"] = self._count_pending_entries(
                    f"ingress:{shard}"
                )
        return [f"pending: {count} {description}" for description, count in pending_counts.items() if count]

    def _count_pending_entries(self, stream: str) -> int:
        try:
            summary: Any = self.redis.xpending(stream, "bridge")
        except redis.ResponseError:
            return self.redis.xlen(stream)  # after FLUSHALL, before the bridge has created its consumer group
        return int(summary["pending"])

    def _check_counts(self) -> list[str]:
        """The stored count equals the number of rows and the count in Redis, if it is cached."""
        violations = []
        for group_type, (key_prefix, statement) in _COUNT_QUERIES.items():
            for object_id, stored_count, row_count in self._query(statement):
                redis_count: Any = self.redis.get(f"{key_prefix}:count:{object_id}")
                redis_count = int(redis_count) if redis_count is not None else row_count
                if not row_count == stored_count == redis_count:
                    violations.append(
                        f"{group_type} of {object_id}: {row_count=} {stored_count=} {redis_count=}"
                    )
        return violations

    def _check_groups(self) -> list[str]:
        """Active actors are exactly the active members; except for comments, each is in one group only."""
        violations = []
        for notification_type, statement in _EXPECTED_ACTORS_QUERIES.items():
            expected_actors = {(row[0], row[1]) for row in self._query(statement)}
            active_actors = [
                (row[0], row[1]) for row in self._query(_GROUP_ACTORS_QUERY, kind=notification_type) if row[2]
            ]
            duplicates = [member for member, count in Counter(active_actors).items() if count > 1]
            if notification_type != "COMMENT" and duplicates:
                violations.append(f"{notification_type}: active in two groups: {duplicates}")
            if set(active_actors) != expected_actors:
                violations.append(
                    f"{notification_type}: missing {expected_actors - set(active_actors)} "
                    f"extra {set(active_actors) - expected_actors}"
                )
        rows = self._query(
            "select n.id, n.type, n.actor_count, n.unannounced_count, count(a.actor_id) filter "  # noqa: S608
            "(where a.active), n.removed_at is not null from notifications n "
            "left join notification_actors a on a.notification_id = n.id "
            f"where n.type <> all(:ungrouped) and {_is_checked('n.user_id')} group by n.id",
            ungrouped=[kind.value for kind in UNGROUPED_KINDS],
        )
        return violations + [
            f"notification {row[0]} {row[1]}: actor_count {row[2]} unannounced_count {row[3]} actors {row[4]}"
            for row in rows
            if row[3] or row[2] != row[4] or row[5] != (row[4] == 0)
        ]

    def _check_announcements(self) -> list[str]:
        """Each actor was announced once: the announced counts of a row add up to its announced actors."""
        violations = []
        announced_by_group: dict[str, int] = defaultdict(int)
        for notification_id, new_count in self._query(
            "select payload->>'id', (payload->'metadata'->>'newCount')::int from outbox "  # noqa: S608
            f"where client_event = 'notification' and {_is_checked('user_id')}"
        ):
            announced_by_group[notification_id] += new_count
        for notification_id, announced_count, unannounced_count in self._query(
            "select a.notification_id::text, count(*) filter (where a.announced), "  # noqa: S608
            "count(*) filter (where a.active and not a.announced) from notification_actors a "
            f"join notifications n on n.id = a.notification_id where {_is_checked('n.user_id')} "
            "group by a.notification_id"
        ):
            if announced_by_group[notification_id] != announced_count or unannounced_count:
                violations.append(
                    f"notification {notification_id}: "
                    f"announced {announced_by_group[notification_id]} in events, "
                    f"{announced_count} in rows, not announced {unannounced_count}"
                )
        for notification_type in ("LIKE", "FOLLOW"):
            announcement_counts = Counter(
                (row[0], row[1]) for row in self._query(_GROUP_ACTORS_QUERY, kind=notification_type) if row[3]
            )
            violations += [
                f"{notification_type} announced twice: {pair}"
                for pair, count in announcement_counts.items()
                if count > 1
            ]
        return violations

    def _check_client_events(self) -> list[str]:
        """Per user numbers 1..n without gaps; the last event of a notification equals its row."""
        violations = []
        for user_id, last_client_seq, client_seqs in self._query(
            "select u.id::text, u.client_seq, array_agg(o.client_seq order by o.id) from users u "  # noqa: S608
            "join outbox o on o.user_id = u.id and o.client_seq is not null "
            f"where {_is_checked('u.id')} group by u.id"
        ):
            if client_seqs != list(range(1, last_client_seq + 1)):
                violations.append(
                    f"client events of {user_id} are {client_seqs}, users.client_seq {last_client_seq}"
                )
        for notification_id, version, actor_count, client_event_type, payload in self._query(
            "select distinct on (n.id) n.id, n.version, n.actor_count, o.client_event, o.payload "  # noqa: S608
            "from notifications n left join outbox o on o.payload->>'id' = n.id::text "
            f"where {_is_checked('n.user_id')} order by n.id, o.id desc"
        ):
            if payload is None:
                violations += [f"notification {notification_id} was never sent"] if version else []
            elif payload["version"] != version:
                violations.append(
                    f"notification {notification_id} has version {version}, sent {payload['version']}"
                )
            elif client_event_type != "notification_removed":
                announced_actor_count = payload["metadata"]["aggregatedCount"]
                violations += (
                    [f"notification {notification_id}: {actor_count} actors, sent {announced_actor_count}"]
                    if announced_actor_count != actor_count
                    else []
                )
        return violations

    def _check_unread_counts(self) -> list[str]:
        """The last unread count sent is the number of unread rows. Not after a page of a fan-out, which sends
        none: web processes read the count for the users connected to them."""
        violations = []
        for user_id, sent_count, unread_count in self._query(
            "select distinct on (o.user_id) o.user_id::text, (o.payload->>'count')::int, "  # noqa: S608
            "(select count(*) from unread_notifications n where n.user_id = o.user_id) "
            f"from outbox o where o.client_event = 'unread_count' and {_is_checked('o.user_id')} "
            "and not exists (select from outbox later where later.user_id = o.user_id and later.id > o.id "
            "and later.payload->>'type' = any(cast(:fan_out_kinds as text[]))) "
            "order by o.user_id, (o.payload->>'version')::bigint desc",
            fan_out_kinds=sorted(FAN_OUT_KINDS),
        ):
            violations += (
                [f"unread count of {user_id}: sent {sent_count}, unread {unread_count}"]
                if sent_count != unread_count
                else []
            )
        return violations

    def _query(self, statement: str, **params: object) -> list[Any]:
        recipient_ids = None if self.recipient_ids is None else list(self.recipient_ids)
        parameters = {"recipients": recipient_ids} if ":recipients" in statement else {}
        with self.engine.connect() as conn:
            return list(conn.execute(text(statement), parameters | params))

    def _query_int(self, statement: str) -> int:
        return int(self._query(statement)[0][0])
