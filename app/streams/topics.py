"""The topics: made by whoever finds them missing, never by the broker's auto-create."""

import logging

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from app.domain.errors import Unavailable
from app.streams.clients import connected

log = logging.getLogger(__name__)


def create_topics(
    servers: tuple[str, ...], partitions: dict[str, int], replication: int, retention_ms: int
) -> None:
    """Makes the missing ones. Time of a record is the broker's (LogAppendTime): a producer's clock
    that runs ahead would have its records refused. Raises Unavailable when Kafka is away.
    """
    try:
        admin = connected(
            KafkaAdminClient,
            bootstrap_servers=list(servers),
            bootstrap_timeout_ms=2000,
            request_timeout_ms=5000,
        )
    except KafkaError as fault:
        raise Unavailable("Kafka is not there yet", "kafka_unavailable") from fault
    try:
        missing = set(partitions) - set(admin.list_topics())
        topics = [
            NewTopic(
                name,
                partitions[name],
                replication,
                topic_configs={
                    "retention.ms": str(retention_ms),
                    "message.timestamp.type": "LogAppendTime",
                    # Acknowledged means that one broker may die at once and it is still there.
                    "min.insync.replicas": str(2 if replication >= 3 else 1),
                },
            )
            for name in sorted(missing)
        ]
        if topics:
            admin.create_topics(topics)
            log.info("Made the topics %s", ", ".join(sorted(missing)))
    except TopicAlreadyExistsError:
        log.info("Another process made the topics first")
    except KafkaError as fault:
        raise Unavailable("Kafka did not make the topics", "kafka_unavailable") from fault
    finally:
        admin.close()
