"""The steps of a Redis failback: what must be written before Redis may accept writes again, and the switch.

Input: the ingress, the fallback queue, the Kafka topics, the open windows and what Redis has about the
objects in table failover_affected_objects. Output: Redis without outdated keys, and the state `normal`
(app/failover/redis_failover.py). workers/redis_failback.py decides when each step is made.

During a failover no write goes through Redis, so what was accepted before it is written sooner or later. The
switch pauses the writers, which waits for their last transactions, invalidates what Redis knows of the
objects they concern, and enables the ingress.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from app.aggregation.windows import WindowStore
from app.clients.redis import CLUSTER_TAGS, redis_key, register_script, translate_errors
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.failover.failback_states import FailbackState
from app.failover.redis_failover import INGRESS_INCOMPLETE_KEY, INGRESS_INSTANCE_ID_KEY, RedisFailover
from app.ingest.failover_writes import FailoverWrites
from app.ingest.ingress import IngressStreams
from app.ingest.pending_comment_deletions import PendingCommentDeletions
from app.messaging.fallback_queue import FallbackQueue
from app.persistence import membership_keys

log = logging.getLogger(__name__)
INVALIDATE_TIMEOUT_SECONDS = 2.0
COMMIT_CHECK_INTERVAL_SECONDS = 1.0
MAKE_WINDOWS_DUE_INTERVAL_SECONDS = 0.5
OBJECTS_PER_CALL = 500
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
    find_pending_comments: Callable[[Sequence[str]], set[str]]
    """Those of these comment ids that Redis has, as of a comment that may have no row yet."""
    delete_comment: Callable[[str, str], None]
    """delete_comment(actor_id, comment_id). Raises Rejected when the comment belongs to someone else."""


class FailbackSteps:
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

    def start(self, instance_id: str | None, failover_since: str) -> None:
        """Call when the ingress is disabled. `instance_id`: None if Redis was never used."""
        self._instance_id, self._failover_since = instance_id, failover_since
        self._started_at_ms = self._redis_time_ms()
        self._is_drained = False
        self._written_objects: set[tuple[Kind, str]] = set()
        self._next_windows_due_at = 0.0

    def has_happened(self, state: FailbackState) -> bool:
        """Whether what the state waits for is true now."""
        match state:
            case FailbackState.CATCHING_UP:
                return self._are_events_of_affected_objects_written() and self._apply_comment_deletions()
            case FailbackState.DRAINING_INGRESS:
                return not self._pipeline_positions.ingress.has_entries_up_to(self._started_at_ms)
            case FailbackState.DRAINING_TOPICS:
                return self._have_topics_been_read()
            case FailbackState.DRAINING_WINDOWS:
                return (
                    not self._pipeline_positions.windows.has_unsettled(self._window_names)
                    and self._apply_comment_deletions()
                )
        raise ValueError(state)

    def make_windows_due(self) -> None:
        """Makes the rows of the windows that are open now due; at most every
        MAKE_WINDOWS_DUE_INTERVAL_SECONDS."""
        if time.monotonic() >= self._next_windows_due_at:
            self._next_windows_due_at = time.monotonic() + MAKE_WINDOWS_DUE_INTERVAL_SECONDS
            self._window_names = self._pipeline_positions.windows.make_open_windows_due()

    def note_offsets(self) -> None:
        """Notes the ends of the fallback queue and of the topics; what is before them will be in windows or
        tables when DRAINING_TOPICS is over."""
        self._is_drained, self._next_windows_due_at = True, 0.0
        self._last_queue_row_id = self._pipeline_positions.fallback_queue.newest_row_id()
        self._end_offsets: dict[str, int] | None = None
        self._next_commit_check_at = 0.0

    def _have_topics_been_read(self) -> bool:
        positions = self._pipeline_positions
        if self._end_offsets is None:
            if positions.fallback_queue.has_pending_up_to(self._last_queue_row_id):
                return False
            self._end_offsets = {
                partition: offset for partition, offset in positions.read_end_offsets().items() if offset
            }
        committed_offsets: dict[str, int] = {}
        if time.monotonic() >= self._next_commit_check_at:
            # Reading committed offsets opens a connection each time; Redis has the recent ones as well.
            committed_offsets = positions.read_committed_offsets()
            self._next_commit_check_at = time.monotonic() + COMMIT_CHECK_INTERVAL_SECONDS
        self._end_offsets = self._lagging_partitions(self._end_offsets, committed_offsets)
        return not self._end_offsets

    def _are_events_of_affected_objects_written(self) -> bool:
        """Whether PostgreSQL has every event that Redis accepted about the affected objects (docs/adr/0022).
        While the ingress is disabled, what is written once stays so."""
        affected_objects = set(self._failover_writes.list_affected_objects()) - self._written_objects
        for start in range(0, len(affected_objects), OBJECTS_PER_CALL):
            page = list(affected_objects)[start : start + OBJECTS_PER_CALL]
            with translate_errors("count unwritten events"):
                pipeline = self._redis.pipeline(transaction=False)
                for kind, object_id in page:
                    if kind is Kind.COMMENT:
                        pipeline.hlen(membership_keys.comment_key("pending", object_id))
                    else:
                        pipeline.hlen(membership_keys.unwritten_key(kind, object_id))
                    pipeline.zcount(membership_keys.comment_key("deleted", object_id), 0, 0)
                counts: list[Any] = pipeline.execute()
            self._written_objects |= {
                affected
                for affected, unwritten, unwritten_deletions in zip(
                    page, counts[::2], counts[1::2], strict=True
                )
                if not unwritten and not unwritten_deletions
            }
        return affected_objects <= self._written_objects

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

    def _apply_comment_deletions(self) -> bool:
        """Deletes comments that only Redis knew at the time, once they have rows. Returns whether none is
        left. A comment that neither store has never existed; nor has any without a row after draining."""
        comment_deletions = self._pending_deletions.comment_deletions
        comment_ids = [deletion.comment_id for deletion, _ in comment_deletions.list_pending()]
        if not comment_ids:
            return True
        # Before the rows are looked up again: a comment leaves Redis when it has a row.
        pending_ids: set[str] = set()
        if not self._is_drained:
            pending_ids = self._pending_deletions.find_pending_comments(comment_ids)
        is_done = True
        for deletion, has_row in comment_deletions.list_pending():
            if not has_row and (deletion.comment_id in pending_ids or deletion.comment_id not in comment_ids):
                is_done = False
                continue
            try:
                if has_row:
                    self._pending_deletions.delete_comment(deletion.actor_id, deletion.comment_id)
            except Rejected as exc:
                log.info(
                    "A comment deletion was rejected: %s", exc, extra={"event": "comment_deletion_rejected"}
                )
            comment_deletions.remove(deletion)
        return is_done

    def switch_back(self) -> None:
        """Pauses the writers and enables the ingress, unless something was accepted meanwhile that has to be
        waited for."""
        while self._pending_deletions.apply_to_redis(0.0):
            pass
        try:
            if not self._redis_failover.pause_failover_writes(self._failover_since):
                return  # another process switched back
        except Unavailable as exc:
            log.info(
                "Failback: a write does not end, no pause possible: %s", exc, extra={"event": "pause_failed"}
            )
            return
        try:
            if self._is_everything_written():
                self._invalidate_keys_and_end_failover()
        finally:
            self._redis_failover.resume_failover_writes(self._failover_since)

    def _is_everything_written(self) -> bool:
        if self._pending_deletions.comment_deletions.list_pending():
            return False
        if not self._is_drained and not self._are_events_of_affected_objects_written():
            return False
        while self._pending_deletions.apply_to_redis(0.0):
            pass
        return True

    def _invalidate_keys_and_end_failover(self) -> None:
        affected_objects = self._failover_writes.list_affected_objects()
        invalidated_keys = [
            key for kind, object_id in affected_objects for key in _outdated_keys(kind, object_id)
        ]
        instance_id, must_exist = self._instance_id or self._new_id(), int(self._instance_id is not None)
        deadline_ms = int((time.time() + INVALIDATE_TIMEOUT_SECONDS) * 1000)
        with translate_errors("invalidate outdated keys"):
            script_result = self._invalidate_script(
                keys=[INGRESS_INSTANCE_ID_KEY, INGRESS_INCOMPLETE_KEY],
                args=[deadline_ms, instance_id, must_exist, *invalidated_keys],
            )
        if script_result == "invalidated" and self._redis_failover.end_failover(
            instance_id, self._new_id(), self._failover_since
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
