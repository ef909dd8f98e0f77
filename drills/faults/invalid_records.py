"""Invalid records on every topic and stream become dead letters and do not delay their neighbours."""

from kafka import KafkaProducer

from app.domain.routing import Topic
from drills.drill import Drill, Scenario

INVALID_RECORDS = (
    b"",
    b"null",
    b'{"type": "\xff\xfe"}',
    b'{"type": "LIKE", "eventId"',
    b'{"type": 7}',
    b'{"type": "NO_SUCH_KIND", "eventId": "x"}',
    b"[" * 10_000 + b"]" * 10_000,
    b'{"seq": NaN}',
    b"x" * 900_000,
)
POISONED_TOPICS = (Topic.CRITICAL, Topic.HIGH, Topic.LOW, Topic.READY)


def send_invalid_records(scenario: Scenario) -> None:
    for topic, partition, offset in send_to_topics(scenario):
        scenario.expected_dead_letters.add((topic, f"{partition}:{offset}"))
    for shard in range(5):
        for fields in ({"type": b"\xff\xfe"}, {"type": "LIKE", "metadata": '{"x": "\\ud800"}'}):
            entry_id = scenario.cluster.redis.xadd(f"ingress:{shard}", fields)  # type: ignore[arg-type]
            scenario.expected_dead_letters.add((f"ingress:{shard}", str(entry_id)))
    scenario.run_load(scenario.pick_short_or_full(3, 8))
    scenario.measurements["poison"] = len(scenario.expected_dead_letters)


def send_to_topics(scenario: Scenario) -> list[tuple[str, int, int]]:
    producer = KafkaProducer(
        bootstrap_servers=[scenario.cluster.process_env["KAFKA_BOOTSTRAP_SERVERS"]],
        max_request_size=1_000_000,
    )
    record_positions = []
    for topic in POISONED_TOPICS:
        for value in (*INVALID_RECORDS, None):
            record_metadata = producer.send(topic.value, value=value, key=b"drill").get(timeout=10)
            record_positions.append((topic.value, record_metadata.partition, record_metadata.offset))
    producer.close()
    return record_positions


DRILLS = (
    Drill(
        "poison",
        "invalid records on every topic and stream",
        ("P10", "P12"),
        send_invalid_records,
        in_short_run=True,
    ),
)
