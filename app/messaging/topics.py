"""Creates the Kafka topics that are missing. The broker's automatic creation is not used."""

import logging

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from app.clients.kafka import create_kafka_client, to_unavailable
from app.kafka_settings import KafkaConnection

log = logging.getLogger(__name__)


def create_missing_topics(
    connection: KafkaConnection,
    partitions_by_topic: dict[str, int],
    replication_factor: int,
    retention_ms: int,
) -> None:
    """Creates the missing topics. Records get the broker's time (LogAppendTime), because records of a
    producer whose clock runs ahead would be rejected. Raises Unavailable.
    """
    try:
        admin = create_kafka_client(
            KafkaAdminClient,
            connection,
            bootstrap_timeout_ms=2000,
            request_timeout_ms=5000,
        )
    except KafkaError as exc:
        raise to_unavailable(exc, "Kafka does not answer yet") from exc
    try:
        missing_names = set(partitions_by_topic) - set(admin.list_topics())
        new_topics = [
            NewTopic(
                name,
                partitions_by_topic[name],
                replication_factor,
                topic_configs={
                    "retention.ms": str(retention_ms),
                    "message.timestamp.type": "LogAppendTime",
                    # An acknowledged record survives the loss of one broker.
                    "min.insync.replicas": str(2 if replication_factor >= 3 else 1),
                },
            )
            for name in sorted(missing_names)
        ]
        if new_topics:
            admin.create_topics(new_topics)
            log.info(
                "Created the topics %s", ", ".join(sorted(missing_names)), extra={"event": "topics_created"}
            )
    except TopicAlreadyExistsError:
        log.info("Another process created the topics", extra={"event": "topics_exist"})
    except KafkaError as exc:
        raise to_unavailable(exc, "Kafka did not create the topics") from exc
    finally:
        admin.close()
