"""The ingress: Redis Streams that store accepted events before Kafka, in shards `ingress:{n}`.

In: events of user actions (append; set_membership.lua appends likes and follows itself). Out: entries for
workers/bridge.py, which publishes them to Kafka and acknowledges them.

One bridge owns a shard at a time, by a lease. All owners read with the same consumer name, so that a new
owner finds the pending entries of the previous one as its own, in order. Entries are never trimmed by
length, only up to the last acknowledged one.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.errors import RedisFailoverActive, Unavailable
from app.domain.events import Event, Kind
from app.domain.routing import ingress_shard_of_event
from app.ingest.comments import Comment
from app.ingest.memberships import IngressLimits
from app.persistence import membership_keys

CONSUMER_GROUP = "bridge"
CONSUMER_NAME = "bridge-owner"
LEASE_MS = 5_000


@dataclass(frozen=True, slots=True)
class IngressEntry:
    """One entry as read. `fields` is None if it was deleted while it was pending."""

    stream_id: str
    fields: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class AckResult:
    unacknowledged_count: int
    """Entries that any owner has read and that are not acknowledged yet."""


class IngressStreams:
    """Web processes append; the bridge uses all other methods."""

    def __init__(self, redis_client: redis.Redis, limits: IngressLimits) -> None:
        self._redis = redis_client
        self._limits = limits
        self._append_script = register_script(redis_client, "ingest/append_events")
        self._acknowledge_script = register_script(redis_client, "ingest/acknowledge")
        self._lease_script = register_script(redis_client, "ingest/acquire_lease")
        self.shards = range(limits.shard_count + 1)

    def append_events(
        self, events: Sequence[Event], comment: Comment | None = None, comment_deleted: bool = False
    ) -> bool:
        """Appends all events or none, and with them adds the comment to the pending ones or marks it as
        deleted. The events belong to one shard: those of a post, or a single one.

        Returns False if the comment count of the post is not cached: load it and call again. Raises
        Unavailable if the ingress is full or Redis is unavailable.
        """
        limits = self._limits
        shard = ingress_shard_of_event(events[0], limits.shard_count)
        if any(ingress_shard_of_event(event, limits.shard_count) != shard for event in events):
            raise ValueError("The events belong to several shards")
        post_id = comment.post_id if comment else ""
        keys = [
            *(redis_key("comment", name, post_id, slot_of=shard) for name in ("count", "pending", "deleted")),
            redis_key("ingress", "enabled", slot_of=shard),
            membership_keys.idle_key(slot_of=shard),
            ingress_key(shard),
        ]
        args: list[str | int] = [
            int((time.time() + limits.call_deadline_seconds) * 1000),
            limits.max_shard_length,
            comment.id if comment else "",
            comment.to_pending_json() if comment and not comment_deleted else "",
            membership_keys.idle_set_entry(Kind.LIKE, post_id),
        ]
        for event in events:
            flat_fields = [field for pair in event.to_stream_fields().items() for field in pair]
            args += [len(flat_fields), *flat_fields]
        with translate_errors("append the events"):
            result = self._append_script(keys=keys, args=args)
        if result == "failover":
            raise RedisFailoverActive
        if result in ("deadline_exceeded", "full"):
            raise Unavailable("Too many events are waiting; try again soon", f"ingress_{result}")
        return bool(result in ("done", "unchanged"))

    def acquire_or_renew_lease(self, shard: int, owner_token: str) -> bool | None:
        """Acquires or renews the lease of a shard. True: renewed; False: acquired now; None: another owner
        has it."""
        with translate_errors("lease a shard"):
            lease_result = self._lease_script(keys=[_lease_key(shard)], args=[owner_token, LEASE_MS])
        return None if lease_result == 0 else lease_result == 1

    def release_lease(self, shard: int, owner_token: str) -> None:
        """Releases a shard early, so that another owner need not wait for the lease to expire."""
        with translate_errors("release a shard"):
            if self._redis.get(_lease_key(shard)) == owner_token:
                self._redis.delete(_lease_key(shard))

    def create_shard(self, shard: int) -> None:
        """Creates the stream and its consumer group, which starts at the first entry, not at `$`."""
        with translate_errors("create a shard"):
            try:
                self._redis.xgroup_create(ingress_key(shard), CONSUMER_GROUP, id="0", mkstream=True)
            except redis.ResponseError as exc:
                if "BUSYGROUP" not in str(exc):
                    raise

    def read_entries(
        self, shards: Sequence[int], max_entries: int, redeliver_pending: bool
    ) -> dict[int, list[IngressEntry]]:
        """The next entries of each shard, oldest first. `redeliver_pending`: those that a previous owner read
        and did not acknowledge."""
        shard_by_key = {ingress_key(shard): shard for shard in shards}
        streams: dict[Any, Any] = dict.fromkeys(shard_by_key, "0" if redeliver_pending else ">")
        with translate_errors("read the ingress"), _translate_missing_stream():
            reply: Any = self._redis.xreadgroup(CONSUMER_GROUP, CONSUMER_NAME, streams, count=max_entries)
        stream_entries = reply.items() if isinstance(reply, dict) else (reply or [])
        entries_by_shard = {}
        for stream_key, entries in stream_entries:
            # RESP3 nests each stream's entries once more than RESP2.
            rows = entries[0] if entries and isinstance(entries[0], list) else entries
            if rows:
                entries_by_shard[shard_by_key[str(stream_key)]] = [
                    IngressEntry(stream_id, fields or None) for stream_id, fields in rows
                ]
        return entries_by_shard

    def acknowledge_entries(
        self,
        shard: int,
        owner_token: str,
        entries: Sequence[IngressEntry],
        sent_to_fallback: int = 0,
        dead_lettered: int = 0,
    ) -> AckResult | None:
        """Acknowledges entries after they were published. None: the shard has another owner now, which
        will process these entries again."""
        with translate_errors("acknowledge"), _translate_missing_stream():
            unacknowledged_count = self._acknowledge_script(
                keys=[
                    ingress_key(shard),
                    _lease_key(shard),
                    redis_key("stage", "bridge", slot_of=shard),
                ],
                args=[
                    owner_token,
                    CONSUMER_GROUP,
                    sent_to_fallback,
                    dead_lettered,
                    *[entry.stream_id for entry in entries],
                ],
            )
        return AckResult(int(unacknowledged_count)) if int(unacknowledged_count) >= 0 else None

    def wait_for_entries(self, last_read_ids: dict[int, str], timeout_seconds: float) -> None:
        """Waits until one of the shards has an entry after the last one read, or until the time-out.

        Uses XREAD, so that a lost reply leaves no entry pending.
        """
        streams: dict[Any, Any] = {ingress_key(shard): last_id for shard, last_id in last_read_ids.items()}
        with translate_errors("wait for the ingress"):
            self._redis.xread(streams, count=1, block=max(1, int(timeout_seconds * 1000)))

    def has_entries_up_to(self, unix_ms: int) -> bool:
        """Whether an entry remains that was appended up to that time of Redis's clock."""
        with translate_errors("read the oldest entries"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self.shards:
                pipeline.xrange(ingress_key(shard), count=1)
            oldest_ids = [str(rows[0][0]) for rows in pipeline.execute() if rows]
        return any(int(stream_id.partition("-")[0]) <= unix_ms for stream_id in oldest_ids)

    def length_by_shard(self) -> dict[int, int]:
        """Number of entries per shard that the bridge has not published yet."""
        with translate_errors("read the stream lengths"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self.shards:
                pipeline.xlen(ingress_key(shard))
            return dict(zip(self.shards, pipeline.execute(), strict=True))


def ingress_key(shard: int) -> str:
    return redis_key("ingress", shard, slot_of=shard)


def _lease_key(shard: int) -> str:
    return redis_key("ingress", "lease", shard, slot_of=shard)


@contextmanager
def _translate_missing_stream() -> Iterator[None]:
    """Raises Unavailable if a stream or its group does not exist: Redis was emptied."""
    try:
        yield
    except redis.ResponseError as exc:
        if "NOGROUP" not in str(exc):
            raise
        raise Unavailable("The ingress was emptied", "ingress_missing") from exc
