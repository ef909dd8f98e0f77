"""A Kafka consumer that commits only explicit offsets.

In: the records of one topic, for one consumer group. Out: lists of records to a worker.
Every wait is bounded. The client is created when it is first used: kafka-python's constructor blocks
without a broker (measured), and a process must start without Kafka.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import gevent
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import FencedInstanceIdError, KafkaError, KafkaTimeoutError
from kafka.structs import OffsetAndMetadata

from app.clients.circuit_breaker import KAFKA
from app.clients.kafka import create_kafka_client, to_unavailable
from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
from app.messaging.records import ConsumedRecord

log = logging.getLogger(__name__)
T = TypeVar("T")
CALL_TIMEOUT_SECONDS = 20.0
"""Longer than every time-out passed to kafka-python: only a call that hangs exceeds it."""
GROUP_JOIN_TIMEOUT_SECONDS = 75.0
SESSION_TIMEOUT_MS = 6000
"""The minimum that a broker allows (group.min.session.timeout.ms). After it the partitions of a
member that is frozen, or whose machine failed, are reassigned."""
CLOSE_TIMEOUT_SECONDS = 3.0


class KafkaSubscriber:
    """One consumer, used by one greenlet. Offsets are committed only by commit().

    Each call has a time limit: kafka-python waits for its own event loop without one, and was seen
    not to return from a rebalance under load. A consumer that does not return in time is abandoned,
    and so is one that does not join its group; the next call creates a new one, which continues at
    the committed offsets.

    `group_instance_id` makes it a static member (KIP-345): a new process with the id of a dead one
    gets its partitions at once instead of after the session time-out (docs/adr/0020). It must be
    unique among running processes.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        consumer_group: str,
        topic: str,
        group_instance_id: str | None = None,
    ) -> None:
        self._connection = connection
        self._consumer_group = consumer_group
        self._topic = topic
        self._group_instance_id = group_instance_id
        self._consumer: KafkaConsumer | None = None
        self._not_member_since: float | None = None

    def poll(self, timeout_seconds: float, max_records: int) -> list[ConsumedRecord]:
        """The next records, in order within each partition; [] if none arrive in time."""
        timeout_ms = int(timeout_seconds * 1000)
        records_by_partition = self._call_within_timeout(
            "answer the poll",
            lambda consumer: consumer.poll(timeout_ms=timeout_ms, max_records=max_records),
        )
        self._abandon_unjoined_consumer()
        return [
            ConsumedRecord(record.topic, record.partition, record.offset, record.value)
            for records in records_by_partition.values()
            for record in records
        ]

    def commit(self, offset_by_partition: dict[tuple[str, int], int]) -> bool:
        """Commits the next offset to read of each partition. Partitions that were reassigned to
        another member are skipped.

        Returns False during a rebalance: a member that keeps a partition must commit again, because
        it continues from its position, and without new records it would never commit this offset.
        """
        if not offset_by_partition:
            return True
        commit_offsets = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offset_by_partition.items()
        }

        def commit(consumer: KafkaConsumer) -> bool:
            assigned_partitions = consumer.assignment()
            assigned_offsets = {
                partition: offset_metadata
                for partition, offset_metadata in commit_offsets.items()
                if partition in assigned_partitions
            }
            try:
                if assigned_offsets:
                    consumer.commit(assigned_offsets, timeout_ms=2000)
            except FencedInstanceIdError:
                raise  # another member has this id: this one would read on and never commit
            except KafkaTimeoutError as exc:
                _record_kafka_failure(f"{self._consumer_group} did not commit", exc)
                return False
            except KafkaError as exc:  # a rebalance
                log.info(
                    "Consumer group %s did not commit: %s",
                    self._consumer_group,
                    type(exc).__name__,
                    extra={"event": "kafka_commit_skipped"},
                )
                return False
            return bool(assigned_partitions)

        return self._call_within_timeout("commit", commit)

    def seek_to_committed(self) -> None:
        """Resets all assigned partitions to their committed offsets, to read uncommitted records again."""
        self._call_within_timeout("seek", _seek_to_committed)

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            _close_and_leave_group(consumer, self._consumer_group)

    def _call_within_timeout(self, operation: str, call: Callable[[KafkaConsumer], T]) -> T:
        call_timeout = Unavailable(f"Kafka did not {operation} in time", "kafka_unavailable")
        try:
            with gevent.Timeout(CALL_TIMEOUT_SECONDS, call_timeout):
                return call(self._get_or_create_consumer())
        except KafkaError as exc:
            self.close()
            raise to_unavailable(exc, f"Kafka did not {operation}") from exc
        except Unavailable:
            self._close_consumer_in_background()
            raise

    def _abandon_unjoined_consumer(self) -> None:
        """Abandons a consumer that does not join its group. A join takes as long as the slowest member's
        step, at most a session and a poll."""
        consumer, now = self._consumer, time.monotonic()
        if consumer is None or _has_joined_group(consumer):
            self._not_member_since = None
        elif self._not_member_since is None:
            self._not_member_since = now
        elif now - self._not_member_since > GROUP_JOIN_TIMEOUT_SECONDS:
            self._close_consumer_in_background()
            raise Unavailable(f"{self._consumer_group} did not join its group", "kafka_unavailable")

    def _close_consumer_in_background(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            KAFKA.outage.record_failure(f"{self._consumer_group} continues with a new consumer")
            gevent.spawn(_close_and_leave_group, consumer, self._consumer_group)

    def _get_or_create_consumer(self) -> KafkaConsumer:
        if self._consumer is None:
            self._not_member_since = None
            consumer = create_kafka_client(
                KafkaConsumer,
                self._connection,
                self._topic,
                bootstrap_timeout_ms=2000,
                group_id=self._consumer_group,
                group_instance_id=self._group_instance_id,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=SESSION_TIMEOUT_MS,
                heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
                max_poll_interval_ms=60_000,
                request_timeout_ms=4000,
                # Of a fetch that finds nothing; records are answered at once. With 200 ms the processes
                # of an idle system took 28 % of a core, with 500 ms 20 %.
                fetch_max_wait_ms=500,
                max_poll_records=1000,
                # Bounds the memory of fetched records.
                fetch_max_bytes=8_000_000,
                max_partition_fetch_bytes=2_000_000,
            )
            self._consumer = consumer
            # kafka-python joins before it knows the topic's partitions, gets none, and joins again
            # when it has them; sometimes the second join does not end (measured).
            consumer.partitions_for_topic(self._topic)
        return self._consumer


def _has_joined_group(consumer: KafkaConsumer) -> bool:
    """Whether it has joined. Its public methods return only its assignment, which is empty for some
    members of a group with more members than partitions."""
    return consumer._coordinator.generation_if_stable() is not None


def _seek_to_committed(consumer: KafkaConsumer) -> None:
    for partition in consumer.assignment():
        offset = consumer.committed(partition, timeout_ms=2000)
        if offset is None:
            consumer.seek_to_beginning(partition)
        else:
            consumer.seek(partition, offset)


def _close_and_leave_group(consumer: KafkaConsumer, consumer_group: str) -> None:
    """Closes it and leaves the group, so that others get its partitions at once. A static member would
    stay until its session times out (KIP-345 is meant for restarts), so it leaves as a dynamic one."""
    consumer._coordinator.is_dynamic_member = lambda: True
    try:
        with gevent.Timeout(CLOSE_TIMEOUT_SECONDS, TimeoutError):
            consumer.close(autocommit=False, timeout_ms=1000)
    except (KafkaError, TimeoutError) as exc:
        _record_kafka_failure(f"{consumer_group} was not closed cleanly", exc)


def _record_kafka_failure(summary: str, exc: Exception) -> None:
    KAFKA.outage.record_failure(f"{summary}: {type(exc).__name__}", summary)
