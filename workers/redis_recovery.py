"""The steps of a Redis failback: what must be true before Redis may accept writes again.

Input: the ingress, the fallback queue, the Kafka topics, the open windows and table failover_writes.
Output: Redis without outdated keys, and the state `normal` (app/failover/redis_failover.py).

Redis may be used again when PostgreSQL has every write, because counts and sets are loaded from there.
During a failover no write goes through Redis, so the procedure waits in turn for the ingress, the fallback
queue, the topics up to their present ends, and the open windows, while failover writes go on. Then it
pauses the writers, waits until the last failover writes are applied, invalidates what Redis knows of the
objects they concern, and switches back.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import redis

from app.aggregation.windows import WindowStore
from app.clients.redis import CLUSTER_TAGS, redis_key, register_script, translate_errors
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.failover.redis_failover import INGRESS_INSTANCE_ID_KEY, RedisFailover
from app.ingest.failover_writes import FailoverWrites
from app.ingest.ingress import IngressStreams
from app.ingest.pending_comment_deletions import PendingCommentDeletions
from app.messaging.fallback_queue import FallbackQueue
from app.persistence import membership_keys

log = logging.getLogger(__name__)
MAX_WRITE_PAUSE_SECONDS, WRITE_PAUSE_POLL_SECONDS = 1.0, 0.02
BETWEEN_WRITE_PAUSES_SECONDS = 1.5
"""Writers that waited during a pause go on in between."""
MAX_WRITE_AGE_AT_PAUSE_SECONDS, MAX_CATCH_UP_SECONDS = 0.5, 3.0
"""A pause begins when every unapplied write is this young, so that all are applied before its end; or after
the second limit, because writes may keep arriving faster than they are applied."""
INVALIDATE_TIMEOUT_SECONDS = 2.0
COMMIT_CHECK_INTERVAL_SECONDS = 1.0
ReadOffsets = Callable[[], dict[str, int]]


@dataclass(frozen=True, slots=True)
class PipelineBacklogSources:
    """Where writes may still be in transit. The offsets are those of the priority topics, by partition."""

    ingress: IngressStreams
    fallback_queue: FallbackQueue
    read_end_offsets: ReadOffsets
    read_committed_offsets: ReadOffsets
    windows: WindowStore


@dataclass(frozen=True, slots=True)
class PendingDeletions:
    """Deletions that were accepted while Redis was unavailable."""

    apply_to_redis: Callable[[float], bool]
    """Applies those at least this many seconds old; returns whether more may be left."""
    comment_deletions: PendingCommentDeletions
    delete_comment: Callable[[str, str], None]
    """delete_comment(actor_id, comment_id). Raises Rejected when the comment belongs to someone else."""


class RedisRecovery:
    def __init__(
        self,
        connection: redis.Redis,
        redis_failover: RedisFailover,
        failover_writes: FailoverWrites,
        pipeline_positions: PipelineBacklogSources,
        pending_deletions: PendingDeletions,
        new_id: Callable[[], str],
    ) -> None:
        self._redis = connection
        self._invalidate_script = register_script(connection, "failover/invalidate")
        self._redis_failover = redis_failover
        self._failover_writes = failover_writes
        self._pipeline_positions = pipeline_positions
        self._pending_deletions = pending_deletions
        self._new_id = new_id

    def run_failback_steps(self, instance_id: str | None, failover_since: str) -> Iterator[bool]:
        """Yields False while it waits. Ends after the switch, or when the state must be read again."""
        _log_phase("waiting for the ingress")
        failover_started_ms = self._redis_time_ms()
        while self._pipeline_positions.ingress.has_entries_up_to(failover_started_ms):
            yield False
        _log_phase("waiting for the fallback queue and Kafka")
        yield from self._wait_until_caught_up()
        _log_phase("waiting for open windows to be written")
        window_pages = self._pipeline_positions.windows.make_open_windows_due()
        while self._pipeline_positions.windows.has_unsettled(window_pages):
            yield False
        _log_phase("waiting for failover writes")
        while True:
            abandoned_seq = self._failover_writes.last_abandoned_write_id()
            if abandoned_seq:
                # Writes this old were never published, unless they are still in the queue or in Kafka.
                yield from self._wait_until_caught_up()
            self._apply_comment_deletions()
            while self._pending_deletions.apply_to_redis(0.0):
                yield False
            yield from self._wait_until_only_recent_writes(abandoned_seq)
            if self._try_switch_back(instance_id, failover_since, abandoned_seq):
                return
            yield from _yield_for_seconds(BETWEEN_WRITE_PAUSES_SECONDS)

    def _wait_until_caught_up(self) -> Iterator[bool]:
        """Until what is in the fallback queue and the topics now is in windows or tables."""
        last_row_id = self._pipeline_positions.fallback_queue.newest_row_id()
        while self._pipeline_positions.fallback_queue.has_pending_up_to(last_row_id):
            yield False
        end_offsets = {
            topic_partition: end_offset
            for topic_partition, end_offset in self._pipeline_positions.read_end_offsets().items()
            if end_offset
        }
        while end_offsets := self._lagging_partitions(
            end_offsets, self._pipeline_positions.read_committed_offsets()
        ):
            # Reading committed offsets opens a connection each time; Redis has the recent ones as well.
            recheck_at = time.monotonic() + COMMIT_CHECK_INTERVAL_SECONDS
            while end_offsets and time.monotonic() < recheck_at:
                yield False
                end_offsets = self._lagging_partitions(end_offsets, {})

    def _redis_time_ms(self) -> int:
        with translate_errors("read the time"):
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _lagging_partitions(
        self, end_offsets: dict[str, int], committed_offsets: dict[str, int]
    ) -> dict[str, int]:
        """Partitions with events below these ends that are in no window and no table."""
        applied_offsets = self._pipeline_positions.windows.get_applied_offsets()
        return {
            topic_partition: end_offset
            for topic_partition, end_offset in end_offsets.items()
            if max(
                applied_offsets.get(topic_partition, -1) + 1,
                committed_offsets.get(topic_partition, 0),
            )
            < end_offset
        }

    def _apply_comment_deletions(self) -> None:
        """Deletes comments that only Redis knew at the time: now they have rows, or never existed."""
        for deletion, has_row in self._pending_deletions.comment_deletions.list_pending():
            try:
                if has_row:
                    self._pending_deletions.delete_comment(deletion.actor_id, deletion.comment_id)
            except Rejected as exc:
                log.info(
                    "A comment deletion was rejected: %s", exc, extra={"event": "comment_deletion_rejected"}
                )
            self._pending_deletions.comment_deletions.remove(deletion)

    def _wait_until_only_recent_writes(self, abandoned_seq: int) -> Iterator[bool]:
        """Until all unapplied writes are young, at most MAX_CATCH_UP_SECONDS."""
        deadline = time.monotonic() + MAX_CATCH_UP_SECONDS
        while (
            self._failover_writes.count_unapplied(abandoned_seq, MAX_WRITE_AGE_AT_PAUSE_SECONDS)
            and time.monotonic() < deadline
        ):
            yield False

    def _try_switch_back(self, instance_id: str | None, failover_since: str, abandoned_seq: int) -> bool:
        """Pauses the writers. Returns False when some write was not applied in time: try again later."""
        try:
            if not self._redis_failover.pause_failover_writes(failover_since):
                return True  # another process switched back; the state is read again
        except Unavailable as exc:
            log.info(
                "Failback: a write does not end, no pause possible: %s", exc, extra={"event": "pause_failed"}
            )
            return False
        try:
            deadline = time.monotonic() + MAX_WRITE_PAUSE_SECONDS
            while self._failover_writes.count_unapplied(abandoned_seq):
                if time.monotonic() > deadline:
                    return False
                time.sleep(WRITE_PAUSE_POLL_SECONDS)
            if self._pending_deletions.comment_deletions.list_pending():
                return False
            while self._pending_deletions.apply_to_redis(0.0):
                pass
            self._invalidate_keys_and_end_failover(instance_id, failover_since)
        finally:
            self._redis_failover.resume_failover_writes(failover_since)
        if abandoned_seq:
            log.warning(
                "Failover writes up to %d were recorded but never published",
                abandoned_seq,
                extra={"event": "failover_writes_abandoned"},
            )
        return True

    def _invalidate_keys_and_end_failover(self, instance_id: str | None, failover_since: str) -> None:
        affected_objects = self._failover_writes.list_affected_objects()
        invalidated_keys = [
            key for kind, object_id in affected_objects for key in _outdated_keys(kind, object_id)
        ]
        new_instance_id, must_exist = instance_id or self._new_id(), int(instance_id is not None)
        deadline_ms = int((time.time() + INVALIDATE_TIMEOUT_SECONDS) * 1000)
        with translate_errors("invalidate outdated keys"):
            script_result = self._invalidate_script(
                keys=[INGRESS_INSTANCE_ID_KEY],
                args=[deadline_ms, new_instance_id, must_exist, *invalidated_keys],
            )
        if script_result == "invalidated" and self._redis_failover.end_failover(
            new_instance_id, self._new_id(), failover_since
        ):
            log.warning(
                "Redis accepts writes again, %d objects will be loaded anew",
                len(affected_objects),
                extra={"event": "redis_failover_ended"},
            )
        else:
            log.warning(
                "Failback was not completed (%s) and starts again",
                script_result,
                extra={"event": "redis_failback_restarted"},
            )


def _outdated_keys(kind: Kind, object_id: str) -> list[str]:
    """What failover writes about this object made wrong. Everything that was accepted before is written."""
    if kind is Kind.COMMENT:
        return [membership_keys.comment_key("count", object_id)]
    keys = membership_keys.all_keys(kind, object_id)
    if kind is Kind.FOLLOW:
        keys += [redis_key("follow", "blocked", object_id, slot_of=slot) for slot in CLUSTER_TAGS.slots()]
    return keys


def _log_phase(phase: str) -> None:
    log.info("Failback: %s", phase, extra={"event": "redis_failback_progress"})


def _yield_for_seconds(seconds: float) -> Iterator[bool]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield False
