"""Redis failback: notices a disabled or emptied Redis and leads writers back to it.

Input: the state in app/failover/redis_failover.py and the keys in Redis. Output: the actions of the state
machine in app/failover/failback_states.py: a failover when Redis was emptied, with what was lost (in /ready
and the log); the steps of workers/failback_steps.py. One process at a time does this, by lease.
"""

import logging
import random
import time
from typing import Any

import redis

from app.clients.leases import PostgresLease
from app.clients.redis import translate_errors
from app.domain.backoff import jittered_delay
from app.domain.errors import RedisUnavailable, Unavailable
from app.failover.failback_states import Action, FailbackState, Observation, next_transition
from app.failover.redis_failover import (
    INGRESS_ENABLED_KEY,
    INGRESS_INCOMPLETE_KEY,
    INGRESS_INSTANCE_ID_KEY,
    FailoverState,
    RedisFailover,
)
from app.ingest.ingress import IngressStreams
from workers.failback_steps import FailbackSteps, PendingDeletions

log = logging.getLogger(__name__)
IDLE_DELAY_SECONDS, FAILBACK_DELAY_SECONDS = 0.3, 0.05
DELETION_CHECK_INTERVAL_SECONDS = 2.0
REST_SECONDS = 1.5
"""Writers that waited during a pause go on before the next one."""
MAX_CATCH_UP_SECONDS = 5.0
"""After this time everything is drained instead."""


class RedisFailback:
    def __init__(
        self,
        connection: redis.Redis,
        redis_failover: RedisFailover,
        ingress: IngressStreams,
        pending_deletions: PendingDeletions,
        steps: FailbackSteps,
        lease: PostgresLease,
    ) -> None:
        self._redis = connection
        self._redis_failover = redis_failover
        self._ingress = ingress
        self._pending_deletions = pending_deletions
        self._steps = steps
        self._next_deletion_check_at = 0.0
        self._lease = lease
        self._state, self._entered_at = FailbackState.WATCHING, 0.0
        self._row, self._ingress_token = FailoverState(""), ""
        """As last observed."""
        self._ingress_entry_count: int | None = None
        """Entries in the ingress at the last check: the number lost if Redis is emptied."""

    def step(self) -> int:
        """One observation, and the action that follows from it. Always returns 0: rest in between."""
        if not self._lease.acquire_or_renew():
            self._enter(FailbackState.WATCHING)
            return 0
        try:
            next_state, action = next_transition(self._state, self._determine_observation())
            self._perform(action)
            self._enter(next_state)
        except Unavailable as exc:
            self._enter(FailbackState.WATCHING)  # starts again once all services respond
            if not isinstance(exc, RedisUnavailable):
                raise
            # No back-off: web processes may reach Redis before this one does.
            log.debug("Redis is unavailable: %s", exc, extra={"event": "redis_unavailable"})
        return 0

    def idle_delay(self) -> float:
        """Jittered, and shorter during a failback."""
        is_watching = self._state is FailbackState.WATCHING
        seconds = IDLE_DELAY_SECONDS if is_watching else FAILBACK_DELAY_SECONDS
        return jittered_delay(seconds, seconds / 3, random.random())  # noqa: S311 - a pause

    def release_lease(self) -> None:
        self._lease.release()

    def _enter(self, state: FailbackState) -> None:
        if state is not self._state:
            self._state, self._entered_at = state, time.monotonic()
            log.info("Failback: waiting for %s", state, extra={"event": "redis_failback_progress"})

    def _determine_observation(self) -> Observation:
        self._row = row = self._redis_failover.read_state()
        with translate_errors("read the failover keys"):
            key_values: Any = self._redis.mget(
                [INGRESS_ENABLED_KEY, INGRESS_INSTANCE_ID_KEY, INGRESS_INCOMPLETE_KEY]
            )
        ingress_token, instance_id, is_incomplete = key_values
        self._ingress_token = ingress_token or ""
        if row.instance_id is not None and instance_id != row.instance_id:
            return Observation.EMPTIED
        self._ingress_entry_count = sum(self._ingress.length_by_shard().values())
        if ingress_token is not None:
            # Redis was unreachable when the failover began, or executed an earlier command late.
            return Observation.IN_USE if row.status == "normal" else Observation.STRAY_KEY
        if self._state is FailbackState.WATCHING:
            must_drain = row.instance_id is None or is_incomplete
            return Observation.INCOMPLETE if must_drain else Observation.OUTAGE
        return self._observe_progress()

    def _observe_progress(self) -> Observation:
        waited_seconds = time.monotonic() - self._entered_at
        if self._state is FailbackState.RESTING:
            return Observation.DONE if waited_seconds >= REST_SECONDS else Observation.PENDING
        if self._steps.has_happened(self._state):
            return Observation.DONE
        is_overdue = self._state is FailbackState.CATCHING_UP and waited_seconds >= MAX_CATCH_UP_SECONDS
        return Observation.OVERDUE if is_overdue else Observation.PENDING

    def _perform(self, action: Action) -> None:
        match action:
            case Action.APPLY_LATE_DELETIONS:
                self._apply_late_deletions()
            case Action.REPORT_DATA_LOSS:
                self._report_data_loss()
            case Action.DELETE_KEY:
                self._redis_failover.delete_ingress_key(self._ingress_token)
            case Action.START_FAILOVER:
                self._start_failover()
            case Action.MAKE_WINDOWS_DUE:
                self._steps.make_windows_due()
            case Action.NOTE_OFFSETS:
                self._steps.note_offsets()
            case Action.SWITCH_BACK:
                self._steps.switch_back()

    def _apply_late_deletions(self) -> None:
        if time.monotonic() >= self._next_deletion_check_at:
            self._next_deletion_check_at = time.monotonic() + DELETION_CHECK_INTERVAL_SECONDS
            self._pending_deletions.apply_to_redis(DELETION_CHECK_INTERVAL_SECONDS)

    def _start_failover(self) -> None:
        self._redis_failover.start_failover(
            "its key is missing, or it was never enabled", self._row.changed_at or None
        )
        failover_since = self._redis_failover.read_state().changed_at
        # An earlier owner of the lease may have died while the writers were paused.
        self._redis_failover.resume_failover_writes(failover_since)
        self._steps.start(self._row.instance_id, failover_since)

    def _report_data_loss(self) -> None:
        self._redis_failover.start_failover("Redis was emptied", self._row.changed_at)
        if self._ingress_token:
            self._redis_failover.delete_ingress_key(self._ingress_token)
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
        loss_count = int((self._row.data_loss or {}).get("times", 0)) + 1
        self._redis_failover.store_data_loss_report(
            {"at": time.time(), "events": self._ingress_entry_count, "times": loss_count}
        )
        self._ingress_entry_count = None
        with translate_errors("set the instance id of an emptied Redis"):
            self._redis.mset(
                {INGRESS_INSTANCE_ID_KEY: str(self._row.instance_id), INGRESS_INCOMPLETE_KEY: "1"}
            )
