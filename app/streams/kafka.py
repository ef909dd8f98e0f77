"""Kafka: a producer that waits for acknowledgements, a subscriber that commits what it is told to.

Every wait is bounded, and both are built when first used: kafka-python's constructors block without
a broker (field notes 3, measured), and a process must start without Kafka.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import gevent
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    FencedInstanceIdError,
    InvalidRecordError,
    InvalidTimestampError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from kafka.structs import OffsetAndMetadata

from app.breakers import KAFKA
from app.domain.errors import Poisoned, Unavailable
from app.green import fairly
from app.streams.clients import connected

log = logging.getLogger(__name__)
T = TypeVar("T")
CALL_SECONDS = 20.0
"""Above every time-out that we give kafka-python: only a call that hangs takes longer."""
JOIN_SECONDS = 75.0
SESSION_MS = 6000
"""The least that a broker allows (group.min.session.timeout.ms). After it the partitions of a
member that is frozen, or whose machine died, go to others."""
CLOSE_SECONDS = 3.0
ACK_SECONDS = 4.0
CONNECT_SECONDS = 2.0
SLICE_BYTES = 4_000_000
"""What is in the producer at a time: its accumulator knows no limit of its own."""
REFUSALS = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidRecordError,
    InvalidTimestampError,
)
"""Words about a record. All others are about Kafka."""


class Refused(Poisoned):
    """Kafka has all records but these, and will never take them."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(f"Kafka refused {len(reasons)}: {next(iter(reasons.values()))}")
        self.reasons = reasons
        """By their place in what was published."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is published: a value and its headers, by the key's partition."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Polled:
    """What is read."""

    topic: str
    partition: int
    offset: int
    value: bytes | None

    @property
    def place(self) -> str:
        return f"{self.topic}:{self.partition}"


class KafkaPublisher:
    """publish() returns when all replicas have the records, or raises Unavailable or Refused."""

    def __init__(self, servers: tuple[str, ...]) -> None:
        self._servers = servers
        self._producer: KafkaProducer | None = None
        self._connecting = Lock()

    def publish(self, records: Sequence[Record]) -> None:
        refused: dict[int, str] = {}
        for part in _slices(records):
            refused |= self._publish(records, part)
        if refused:
            raise Refused(refused)

    def _publish(self, records: Sequence[Record], part: range) -> dict[int, str]:
        """One slice; the records that were refused. A batch is refused whole, and the producer then
        refuses all that it still holds by the same word: so each of those goes alone."""
        try:
            refused = self._sent(records, part)
            if refused and len(part) > 1:
                alone = [self._sent(records, range(place, place + 1)) for place in refused]
                refused = {place: why for one in alone for place, why in one.items()}
            return refused
        except (KafkaError, AssertionError) as fault:
            self._drop()
            raise Unavailable("Kafka did not take the events", "kafka_unavailable") from fault
        except Unavailable:
            self._drop()
            raise

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            _give_up(producer, 1.0)

    def _sent(self, records: Sequence[Record], part: range) -> dict[int, str]:
        producer, futures, refused = self._connected(), {}, {}
        for place in fairly(part):  # a batch of send() never yields by itself
            try:
                futures[place] = self._send(producer, records[place])
            except REFUSALS as fault:
                refused[place] = _words(fault)
        late = Unavailable("Kafka did not acknowledge in time", "kafka_unavailable")
        with gevent.Timeout(ACK_SECONDS, late):
            for place, future in futures.items():
                try:
                    future.get(timeout=ACK_SECONDS)
                except REFUSALS as fault:
                    refused[place] = _words(fault)
        if refused:
            self._drop()  # an idempotent producer that was refused once takes nothing any more
        return refused

    def _send(self, producer: KafkaProducer, record: Record) -> Any:
        headers = [(name, value.encode()) for name, value in record.headers]
        return producer.send(
            record.topic, value=record.value, key=record.key.encode(), headers=headers
        )

    def _connected(self) -> KafkaProducer:
        """One, however many ask at once: a second would be left behind, and turn for ever."""
        producer = self._producer
        if producer is not None:
            return producer
        if not self._connecting.acquire(timeout=CONNECT_SECONDS):
            raise Unavailable("Kafka is still being connected to", "kafka_unavailable")
        try:
            if self._producer is None:
                self._producer = self._connect()
            return self._producer
        finally:
            self._connecting.release()

    def _connect(self) -> KafkaProducer:
        return connected(
            KafkaProducer,
            bootstrap_servers=list(self._servers),
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
            max_block_ms=1000,
            request_timeout_ms=2000,
            delivery_timeout_ms=3500,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
        )

    def _drop(self) -> None:
        """After a failure order inside the producer is unknown: begin with a fresh one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            gevent.spawn(_give_up, producer, CALL_SECONDS)


def _give_up(producer: KafkaProducer, seconds: float) -> None:
    """Ends a producer together with what it still holds. Its own close() first waits for just that,
    and when it waits in vain it raises and leaves the sender asking (kafka-python 3.0.12): so the
    sender is told first."""
    producer._sender.force_close()
    try:
        producer.close(timeout=seconds)
    except KafkaError as fault:
        _note("A producer closed badly", fault)


def _slices(records: Sequence[Record]) -> Iterator[range]:
    """Places of records that go together: as many as SLICE_BYTES hold, and one at least."""
    begin, held = 0, 0
    for place, record in enumerate(records):
        size = len(record.value or b"")
        if place > begin and held + size > SLICE_BYTES:
            yield range(begin, place)
            begin, held = place, 0
        held += size
    if begin < len(records):
        yield range(begin, len(records))


def _words(fault: KafkaError) -> str:
    return f"{type(fault).__name__}: {fault}"[:500]


class Subscriber:
    """One consumer, one greenlet. Offsets are committed only by commit().

    Each call has an end: kafka-python waits for its own event loop without one, and was seen never
    to come back from a rebalance under load. Whoever does not come back in time is left behind, and
    so is a consumer that never gets into its group; the next call makes a new one, and the offsets
    say where to go on.

    `instance` makes it a static member (KIP-345): a new process with the id of a dead one gets its
    partitions at once, instead of after its session (docs/adr/0020). Unique among living processes.
    """

    def __init__(
        self, servers: tuple[str, ...], group: str, topic: str, instance: str | None = None
    ) -> None:
        self._servers = servers
        self._group = group
        self._topic = topic
        self._instance = instance
        self._consumer: KafkaConsumer | None = None
        self._out_since: float | None = None

    def poll(self, timeout_seconds: float, max_records: int) -> list[Polled]:
        """The next records, in order within each partition; [] when there are none in that time."""
        milliseconds = int(timeout_seconds * 1000)
        batches = self._asked(
            "answer the poll",
            lambda consumer: consumer.poll(timeout_ms=milliseconds, max_records=max_records),
        )
        self._is_in()
        return [
            Polled(one.topic, one.partition, one.offset, one.value)
            for records in batches.values()
            for one in records
        ]

    def commit(self, offsets: dict[tuple[str, int], int]) -> bool:
        """The next offset to read, per partition. A lost partition is another's now: that is no
        fault. False: the group is being shared out anew; who keeps a partition must say it again,
        because it goes on from where it was and an idle lane would never say it.
        """
        if not offsets:
            return True
        positions = {
            TopicPartition(*place): OffsetAndMetadata(offset, "", -1)
            for place, offset in offsets.items()
        }

        def commit(consumer: KafkaConsumer) -> bool:
            held = consumer.assignment()
            ours = {place: position for place, position in positions.items() if place in held}
            try:
                if ours:
                    consumer.commit(ours, timeout_ms=2000)
            except FencedInstanceIdError:
                raise  # another member has our id: this one would read on and never commit
            except KafkaTimeoutError as fault:
                _note(f"{self._group} did not commit", fault)
                return False
            except KafkaError as fault:  # the group is being shared out anew
                log.info("%s did not commit: %s", self._group, type(fault).__name__)
                return False
            return bool(held)

        return self._asked("commit", commit)

    def rewind(self) -> None:
        """Back to the committed offsets of all partitions held: read again what was not settled."""
        self._asked("rewind", _rewind)

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            _end(consumer, self._group)

    def _asked(self, what: str, ask: Callable[[KafkaConsumer], T]) -> T:
        late = Unavailable(f"Kafka did not {what} in time", "kafka_unavailable")
        try:
            with gevent.Timeout(CALL_SECONDS, late):
                return ask(self._connected())
        except KafkaError as fault:
            self.close()
            raise Unavailable(f"Kafka did not {what}", "kafka_unavailable") from fault
        except Unavailable:
            self._leave_behind()
            raise

    def _is_in(self) -> None:
        """A join takes as long as the slowest member's step, never longer than a session and a
        poll."""
        consumer, now = self._consumer, time.monotonic()
        if consumer is None or _is_member(consumer):
            self._out_since = None
        elif self._out_since is None:
            self._out_since = now
        elif now - self._out_since > JOIN_SECONDS:
            self._leave_behind()
            raise Unavailable(f"{self._group} did not get in", "kafka_unavailable")

    def _leave_behind(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            KAFKA.outage.failed(f"{self._group} begins again with a new consumer")
            gevent.spawn(_end, consumer, self._group)

    def _connected(self) -> KafkaConsumer:
        if self._consumer is None:
            self._out_since = None
            consumer = connected(
                KafkaConsumer,
                self._topic,
                bootstrap_servers=list(self._servers),
                bootstrap_timeout_ms=2000,
                group_id=self._group,
                group_instance_id=self._instance,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=SESSION_MS,
                heartbeat_interval_ms=SESSION_MS // 4,
                max_poll_interval_ms=60_000,
                request_timeout_ms=4000,
                fetch_max_wait_ms=200,
                max_poll_records=1000,
                # So much may wait in memory, of records as large as they may be.
                fetch_max_bytes=8_000_000,
                max_partition_fetch_bytes=2_000_000,
            )
            self._consumer = consumer
            # kafka-python joins before it knows the topic's partitions, gets none, and joins again
            # when it learns of them; now and then the second time never ends (measured).
            consumer.partitions_for_topic(self._topic)
        return self._consumer


def _is_member(consumer: KafkaConsumer) -> bool:
    """Whether it has joined. Its public methods tell only what it holds, and in a group of more
    members than partitions some rightly hold nothing."""
    return consumer._coordinator.generation_if_stable() is not None


def _rewind(consumer: KafkaConsumer) -> None:
    for place in consumer.assignment():
        offset = consumer.committed(place, timeout_ms=2000)
        if offset is None:
            consumer.seek_to_beginning(place)
        else:
            consumer.seek(place, offset)


def _end(consumer: KafkaConsumer, group: str) -> None:
    """Closes it and leaves the group, so that others have its partitions at once. A static member
    would stay until its session ends (KIP-345 is for restarts): one that ends on purpose leaves."""
    consumer._coordinator.is_dynamic_member = lambda: True
    try:
        with gevent.Timeout(CLOSE_SECONDS, TimeoutError):
            consumer.close(autocommit=False, timeout_ms=1000)
    except (KafkaError, TimeoutError) as fault:
        _note(f"{group} closed badly", fault)


def _note(what: str, fault: Exception) -> None:
    KAFKA.outage.failed(f"{what}: {type(fault).__name__}", what)


def by_place(polled: Iterable[Polled]) -> dict[tuple[str, int], list[Polled]]:
    """Records per partition, in order."""
    places: dict[tuple[str, int], list[Polled]] = {}
    for one in polled:
        places.setdefault((one.topic, one.partition), []).append(one)
    return places
