"""Redis failback: notices a disabled or emptied Redis and leads writers back to it.

Input: the state in app/failover/redis_failover.py and the keys ingress:enabled and ingress:instance_id.
Output: a failover when Redis was emptied, with what was lost (in /ready and the log); else the failback
steps of workers/redis_recovery.py. One process at a time does this, by lease.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

from app.clients.leases import PostgresLease
from app.clients.redis import translate_errors
from app.domain.backoff import jittered_delay
from app.domain.errors import RedisUnavailable, Unavailable
from app.failover.redis_failover import (
    INGRESS_ENABLED_KEY,
    INGRESS_INSTANCE_ID_KEY,
    FailoverState,
    RedisFailover,
)
from app.ingest.failover_writes import FailoverWrites
from workers.redis_recovery import PendingDeletions, PipelineBacklogSources, RedisRecovery

log = logging.getLogger(__name__)
IDLE_DELAY_SECONDS, FAILBACK_DELAY_SECONDS = 0.3, 0.05
DELETION_CHECK_INTERVAL_SECONDS = 2.0


class RedisFailback:
    def __init__(
        self,
        connection: redis.Redis,
        redis_failover: RedisFailover,
        failover_writes: FailoverWrites,
        pipeline_positions: PipelineBacklogSources,
        pending_deletions: PendingDeletions,
        lease: PostgresLease,
        new_id: Callable[[], str],
    ) -> None:
        self._redis = connection
        self._redis_failover = redis_failover
        self._failover_writes = failover_writes
        self._ingress = pipeline_positions.ingress
        self._pending_deletions = pending_deletions
        self._recovery_procedure = RedisRecovery(
            connection, redis_failover, failover_writes, pipeline_positions, pending_deletions, new_id
        )
        self._next_deletion_check_at = 0.0
        self._lease = lease
        self._recovery: Iterator[bool] | None = None
        self._ingress_entry_count: int | None = None
        """Entries in the ingress at the last check: the number lost if Redis is emptied."""

    def step(self) -> int:
        """One check and at most one step of the failback. Always returns 0: rest in between."""
        if not self._lease.acquire_or_renew():
            self._recovery = None
            return 0
        try:
            return self._check_and_advance_failback()
        except Unavailable as exc:
            self._recovery = None  # starts again once all services respond
            if not isinstance(exc, RedisUnavailable):
                raise
            # No back-off: web processes may reach Redis before this one does.
            log.debug("Redis is unavailable: %s", exc, extra={"event": "redis_unavailable"})
            return 0

    def idle_delay(self) -> float:
        """Jittered, and shorter during a failback."""
        seconds = FAILBACK_DELAY_SECONDS if self._recovery else IDLE_DELAY_SECONDS
        return jittered_delay(seconds, seconds / 3, random.random())  # noqa: S311 - a pause

    def release_lease(self) -> None:
        self._lease.release()

    def _check_and_advance_failback(self) -> int:
        failover_state = self._redis_failover.read_state()
        if failover_state.status != "normal":
            self._failover_writes.prune_applied()
        ingress_enabled_id, redis_instance_id = self._read_ingress_keys()
        if failover_state.instance_id is not None and redis_instance_id != failover_state.instance_id:
            self._handle_emptied_redis(failover_state, ingress_enabled_id)
            return 0
        self._ingress_entry_count = sum(self._ingress.length_by_shard().values())
        if failover_state.status == "normal" and ingress_enabled_id is not None:
            self._apply_deletions_if_due()
            return 0
        if ingress_enabled_id is not None:
            # Redis was unreachable when the failover began, or executed an earlier command late.
            self._redis_failover.delete_ingress_key(ingress_enabled_id)
        if self._recovery is None:
            self._redis_failover.start_failover(
                "its key is missing, or it was never enabled", failover_state.changed_at or None
            )
            failover_since = self._redis_failover.read_state().changed_at
            # An earlier owner of the lease may have died while the writers were paused.
            self._redis_failover.resume_failover_writes(failover_since)
            self._recovery = self._recovery_procedure.run_failback_steps(
                failover_state.instance_id, failover_since
            )
        if next(self._recovery, True):
            self._recovery = None
        return 0

    def _apply_deletions_if_due(self) -> None:
        """Applies deletions whose process died before it did so itself."""
        if time.monotonic() >= self._next_deletion_check_at:
            self._next_deletion_check_at = time.monotonic() + DELETION_CHECK_INTERVAL_SECONDS
            self._pending_deletions.apply_to_redis(DELETION_CHECK_INTERVAL_SECONDS)

    def _read_ingress_keys(self) -> tuple[str | None, str | None]:
        with translate_errors("read the failover keys"):
            key_values: Any = self._redis.mget([INGRESS_ENABLED_KEY, INGRESS_INSTANCE_ID_KEY])
        return key_values[0], key_values[1]

    def _handle_emptied_redis(self, failover_state: FailoverState, ingress_enabled_id: str | None) -> None:
        self._recovery = None
        self._redis_failover.start_failover("Redis was emptied", failover_state.changed_at)
        if ingress_enabled_id is not None:
            self._redis_failover.delete_ingress_key(ingress_enabled_id)
        lost_count = (
            "an unknown number of" if self._ingress_entry_count is None else str(self._ingress_entry_count)
        )
        log.warning(
            "Redis was emptied: %s events that the bridge had not moved yet are lost (as counted "
            "last), and counters and traces. Windows and counts are rebuilt from "
            "Kafka and PostgreSQL",
            lost_count,
            extra={"event": "redis_emptied"},
        )
        loss_count = int((failover_state.data_loss or {}).get("times", 0)) + 1
        self._redis_failover.store_data_loss_report(
            {"at": time.time(), "events": self._ingress_entry_count, "times": loss_count}
        )
        self._ingress_entry_count = None
        with translate_errors("set the instance id of an emptied Redis"):
            self._redis.set(INGRESS_INSTANCE_ID_KEY, str(failover_state.instance_id))
