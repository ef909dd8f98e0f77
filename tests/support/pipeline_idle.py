"""Waiting until the pipeline is empty: no pending work in the stores and no consumer lag."""

import redis
from sqlalchemy import Engine

from app.devtools.checker.store_invariants import StoreInvariants
from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
from app.operations.consumer_lag import read_consumer_group_offsets
from harness.waiting import wait_until

IDLE_TIMEOUT_SECONDS = 90.0
"""More than a frozen transaction (15 s), a flusher's claim (6 s) and a relay's lease (5 s) together."""


def read_consumer_lag(kafka_connection: KafkaConnection) -> dict[str, int]:
    """Number of records not yet committed, by consumer group and partition; without zeros."""
    return {
        f"{offset.group}/{offset.partition}": offset.lag
        for offset in read_consumer_group_offsets(kafka_connection)
        if offset.lag
    }


def wait_until_pipeline_is_idle(
    engine: Engine, connection: "redis.Redis", kafka_connection: KafkaConnection
) -> None:
    invariants = StoreInvariants(engine, connection)

    def is_idle() -> bool:
        try:
            return not (invariants.find_pending_work() or read_consumer_lag(kafka_connection))
        except Unavailable:  # Kafka answers late while consumers join their groups on a busy machine
            return False

    wait_until(is_idle, "an empty pipeline", IDLE_TIMEOUT_SECONDS)
