"""What is published to Kafka and read from it: producer and consumer records, and rejected ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.domain.errors import Poisoned


@dataclass(frozen=True, slots=True)
class ProducerRecord:
    """A record to publish. The key determines the partition."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ConsumedRecord:
    """A record as read from a partition."""

    topic: str
    partition: int
    offset: int
    value: bytes | None

    @property
    def partition_name(self) -> str:
        return f"{self.topic}:{self.partition}"


class RecordsRejected(Poisoned):
    """Kafka stored all records except these, and will never accept them."""

    def __init__(self, reason_by_index: Mapping[int, str]) -> None:
        first_reason = next(iter(reason_by_index.values()))
        super().__init__(f"Kafka rejected {len(reason_by_index)} records: {first_reason}")
        self.reason_by_index = reason_by_index
        """Keys are indexes into the published sequence."""


def group_by_partition(
    records: Iterable[ConsumedRecord],
) -> dict[tuple[str, int], list[ConsumedRecord]]:
    """Records by (topic, partition), in order."""
    records_by_partition: dict[tuple[str, int], list[ConsumedRecord]] = {}
    for record in records:
        records_by_partition.setdefault((record.topic, record.partition), []).append(record)
    return records_by_partition
