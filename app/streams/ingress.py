"""The ingress: Redis Streams that take events before Kafka, in shards `ingress:{n}`.

In    stores/memberships.py (wish.lua appends by itself), app/actions.py (append)
Out   workers/bridge.py: read, acknowledge
Next  streams/publisher.py

One bridge holds a shard at a time, by a lease; all holders read under one consumer name, so that a
new holder finds what the last one left pending by asking for its own pending entries, in order.
Entries are never trimmed by length, only up to what was acknowledged.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from app.domain.errors import Unavailable
from app.domain.events import Event
from app.domain.routing import shard_of_event
from app.stores.comments import Comment
from app.stores.gate import CLOSED_CODE, OPEN
from app.stores.memberships import Bounds
from app.stores.redis import key, script, speaking

GROUP = "bridge"
CONSUMER = "holder"
LEASE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as read. `fields` is None for one that was deleted while it was pending."""

    stream_id: str
    fields: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """`left`: entries that were read, by whomever, and are not acknowledged yet."""

    left: int


class Ingress:
    """append for the web, the rest for the bridge."""

    def __init__(self, connection: redis.Redis, bounds: Bounds) -> None:
        self._redis = connection
        self._bounds = bounds
        self._append = script(connection, "append")
        self._acknowledge = script(connection, "acknowledge")
        self._lease = script(connection, "lease")
        self.shards = range(bounds.shards + 1)

    def append(
        self, events: Sequence[Event], comment: Comment | None = None, deleted: bool = False
    ) -> bool:
        """Appends all or none, and notes the comment as pending with them, or as deleted.

        False: the comment count of its post is not known to Redis yet (warm it and come again).
        Raises Unavailable when Redis is away or full.
        """
        bounds = self._bounds
        post = comment.post_id if comment else ""
        keys = [*(key("comment", name, post) for name in ("count", "pending", "gone")), OPEN]
        args: list[str | int] = [
            int((time.time() + bounds.deadline_seconds) * 1000),
            bounds.max_length,
            bounds.shards,
            comment.id if comment else "",
            comment.to_json() if comment and not deleted else "",
        ]
        for event in events:
            keys.append(key("ingress", shard_of_event(event, bounds.shards)))
            flat = [part for pair in event.to_fields().items() for part in pair]
            args += [len(flat), *flat]
        with speaking("take the event"):
            word = self._append(keys=keys, args=args)
        if word == "closed":
            raise Unavailable("The gate is closed", CLOSED_CODE)
        if word in ("late", "full"):
            raise Unavailable("Too many events are waiting; try again soon", f"ingress_{word}")
        return bool(word in ("done", "same"))

    def hold(self, shard: int, token: str) -> bool | None:
        """Takes or keeps a shard. True: held before; False: held from now on; None: another's."""
        with speaking("lease a shard"):
            held = self._lease(keys=[key("ingress", "lease", shard)], args=[token, LEASE_MS])
        return None if held == 0 else held == 1

    def release(self, shard: int, token: str) -> None:
        """Gives a shard back early, so that another need not wait for the lease to run out."""
        with speaking("give a shard back"):
            if self._redis.get(key("ingress", "lease", shard)) == token:
                self._redis.delete(key("ingress", "lease", shard))

    def create(self, shard: int) -> None:
        """Makes the stream and its group; from its first entry, never from `$`."""
        with speaking("make a shard"):
            try:
                self._redis.xgroup_create(key("ingress", shard), GROUP, id="0", mkstream=True)
            except redis.ResponseError as fault:
                if "BUSYGROUP" not in str(fault):
                    raise

    def read(self, shards: Sequence[int], batch: int, pending: bool) -> dict[int, list[Entry]]:
        """The next entries of each shard, oldest first; `pending`: those a dead holder left."""
        streams: dict[Any, Any] = {key("ingress", n): "0" if pending else ">" for n in shards}
        with speaking("read the ingress"), _there():
            answer: Any = self._redis.xreadgroup(GROUP, CONSUMER, streams, count=batch)
        found = answer.items() if isinstance(answer, dict) else (answer or [])
        batches = {}
        for name, entries in found:
            # RESP3 wraps each stream's entries once more than RESP2.
            rows = entries[0] if entries and isinstance(entries[0], list) else entries
            if rows:
                shard = int(str(name).rpartition(":")[2])
                batches[shard] = [Entry(one, fields or None) for one, fields in rows]
        return batches

    def acknowledge(
        self, shard: int, token: str, entries: Sequence[Entry], spilled: int = 0, failed: int = 0
    ) -> Acknowledged | None:
        """Last of all. None: the shard has another holder by now, which will do these again."""
        with speaking("acknowledge"), _there():
            left = self._acknowledge(
                keys=[
                    key("ingress", shard),
                    key("ingress", "lease", shard),
                    key("stage", "bridge"),
                ],
                args=[token, GROUP, spilled, failed, *[entry.stream_id for entry in entries]],
            )
        return Acknowledged(int(left)) if int(left) >= 0 else None

    def wait(self, after: dict[int, str], seconds: float) -> None:
        """Rests until a held shard has an entry after the last one read, at most so long.

        XREAD, which takes nothing: a reply that is cut off leaves nothing pending.
        """
        streams: dict[Any, Any] = {key("ingress", shard): last for shard, last in after.items()}
        with speaking("wait for the ingress"):
            self._redis.xread(streams, count=1, block=max(1, int(seconds * 1000)))

    def has_older(self, ms: int) -> bool:
        """Whether an entry is left that was taken up to that moment of Redis's clock."""
        with speaking("tell its oldest"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self.shards:
                pipeline.xrange(key("ingress", shard), count=1)
            first = [str(rows[0][0]) for rows in pipeline.execute() if rows]
        return any(int(one.partition("-")[0]) <= ms for one in first)

    def lengths(self) -> dict[int, int]:
        """Entries per shard: what the bridge has not moved yet."""
        with speaking("tell its lengths"):
            pipeline = self._redis.pipeline(transaction=False)
            for shard in self.shards:
                pipeline.xlen(key("ingress", shard))
            return dict(zip(self.shards, pipeline.execute(), strict=True))


@contextmanager
def _there() -> Iterator[None]:
    """Raises Unavailable when the shard and its group are gone: Redis was emptied."""
    try:
        yield
    except redis.ResponseError as fault:
        if "NOGROUP" not in str(fault):
            raise
        raise Unavailable("The ingress was emptied", "ingress_lost") from fault
