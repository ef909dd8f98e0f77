"""A Kafka producer that waits for acknowledgements.

In: records of the web processes and workers. Out: the records on all in-sync replicas, or an error.
Every wait is bounded. The client is created when it is first used: kafka-python's constructor blocks
without a broker (measured), and a process must start without Kafka.
"""

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import gevent
from kafka import KafkaProducer
from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from app.clients.circuit_breaker import KAFKA
from app.clients.gevent_setup import iterate_cooperatively
from app.clients.kafka import create_kafka_client, to_unavailable
from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
from app.messaging.records import ProducerRecord, RecordsRejected

CLOSE_TIMEOUT_SECONDS = 20.0
"""For a discarded producer, which a greenlet closes. Longer than every time-out of its client."""
ACK_TIMEOUT_SECONDS = 4.0
CONNECT_TIMEOUT_SECONDS = 2.0
MAX_BATCH_BYTES = 4_000_000
"""Limit of what is handed to the client at a time: its accumulator has no limit of its own."""
RECORD_ERRORS = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidRecordError,
    InvalidTimestampError,
)
"""Errors caused by a record. All others are caused by Kafka or the connection."""


class KafkaPublisher:
    """publish() returns when all in-sync replicas have the records."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._producer: KafkaProducer | None = None
        self._connect_lock = Lock()

    def publish(self, records: Sequence[ProducerRecord]) -> None:
        """Raises Unavailable (some records may have arrived) or RecordsRejected (all others have)."""
        reason_by_index: dict[int, str] = {}
        for index_range in _iter_index_ranges_by_size(records):
            reason_by_index |= self._publish_batch(records, index_range)
        if reason_by_index:
            raise RecordsRejected(reason_by_index)

    def _publish_batch(self, records: Sequence[ProducerRecord], index_range: range) -> dict[int, str]:
        """Publishes one batch and returns the rejected records. The broker rejects a batch as a whole,
        and the producer then fails everything that it still holds with the same error; therefore each
        of these records is sent again alone."""
        try:
            reason_by_index = self._send_and_collect_rejections(records, index_range)
            if reason_by_index and len(index_range) > 1:
                retried_alone = [
                    self._send_and_collect_rejections(records, range(index, index + 1))
                    for index in reason_by_index
                ]
                reason_by_index = {
                    index: reason for rejections in retried_alone for index, reason in rejections.items()
                }
            return reason_by_index
        except (KafkaError, AssertionError) as exc:
            self._discard_producer()
            raise to_unavailable(exc, "Kafka did not accept the records") from exc
        except Unavailable:
            self._discard_producer()
            raise

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            _force_close(producer, 1.0)

    def _send_and_collect_rejections(
        self, records: Sequence[ProducerRecord], index_range: range
    ) -> dict[int, str]:
        producer, future_by_index, reason_by_index = self._get_or_create_producer(), {}, {}
        for index in iterate_cooperatively(index_range):  # send() does not yield to other greenlets
            try:
                future_by_index[index] = self._send_record(producer, records[index])
            except RECORD_ERRORS as exc:
                reason_by_index[index] = _error_text(exc)
        ack_timeout = Unavailable("Kafka did not acknowledge in time", "kafka_unavailable")
        with gevent.Timeout(ACK_TIMEOUT_SECONDS, ack_timeout):
            for index, future in future_by_index.items():
                try:
                    future.get(timeout=ACK_TIMEOUT_SECONDS)
                except RECORD_ERRORS as exc:
                    reason_by_index[index] = _error_text(exc)
        if reason_by_index:
            self._discard_producer()  # after a rejection an idempotent producer accepts nothing more
        return reason_by_index

    def _send_record(self, producer: KafkaProducer, record: ProducerRecord) -> Any:
        headers = [(name, value.encode()) for name, value in record.headers]
        return producer.send(record.topic, value=record.value, key=record.key.encode(), headers=headers)

    def _get_or_create_producer(self) -> KafkaProducer:
        """Creates at most one producer under concurrent calls: a second one would never be closed."""
        producer = self._producer
        if producer is not None:
            return producer
        if not self._connect_lock.acquire(timeout=CONNECT_TIMEOUT_SECONDS):
            raise Unavailable("Still connecting to Kafka", "kafka_unavailable")
        try:
            if self._producer is None:
                self._producer = self._create_producer()
            return self._producer
        finally:
            self._connect_lock.release()

    def _create_producer(self) -> KafkaProducer:
        return create_kafka_client(
            KafkaProducer,
            self._connection,
            bootstrap_timeout_ms=int(CONNECT_TIMEOUT_SECONDS * 1000),
            max_block_ms=1000,
            request_timeout_ms=2000,
            delivery_timeout_ms=3500,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
        )

    def _discard_producer(self) -> None:
        """After a failure the order inside the producer is unknown: the next call creates a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            gevent.spawn(_force_close, producer, CLOSE_TIMEOUT_SECONDS)


def _force_close(producer: KafkaProducer, timeout_seconds: float) -> None:
    """Closes a producer and drops what it still holds. Its own close() first waits for these records;
    when that wait times out it raises and its sender keeps running (kafka-python 3.0.12). Therefore
    the sender is stopped first."""
    producer._sender.force_close()
    try:
        producer.close(timeout=timeout_seconds)
    except KafkaError as exc:
        summary = "A producer was not closed cleanly"
        KAFKA.outage.record_failure(f"{summary}: {type(exc).__name__}", summary)


def _iter_index_ranges_by_size(records: Sequence[ProducerRecord]) -> Iterator[range]:
    """Index ranges of at most MAX_BATCH_BYTES, with at least one record each."""
    start, batch_bytes = 0, 0
    for index, record in enumerate(records):
        record_bytes = len(record.value or b"")
        if index > start and batch_bytes + record_bytes > MAX_BATCH_BYTES:
            yield range(start, index)
            start, batch_bytes = index, 0
        batch_bytes += record_bytes
    if start < len(records):
        yield range(start, len(records))


def _error_text(exc: KafkaError) -> str:
    return f"{type(exc).__name__}: {exc}"[:500]
