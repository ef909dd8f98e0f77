"""Responses of Redis, PostgreSQL or Kafka are lost after the request took effect."""

from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario
from drills.sandbox import ClusterSpec

GUARANTEE_IDS = ("P1", "P2", "P3", "P4")


def drop_redis_replies(scenario: Scenario) -> None:
    assert scenario.cluster.proxy
    for _ in range(int(scenario.pick_short_or_full(15, 40))):
        scenario.cluster.proxy.configure("redis", responses_to_drop=2)
        scenario.run_load(0.5)


def drop_postgres_replies(scenario: Scenario) -> None:
    assert scenario.cluster.proxy
    for _ in range(int(scenario.pick_short_or_full(10, 30))):
        scenario.cluster.proxy.configure("postgres", responses_to_drop=2)
        scenario.run_load(0.7)


def drop_kafka_replies(scenario: Scenario) -> None:
    assert scenario.cluster.proxy
    for _ in range(int(scenario.pick_short_or_full(8, 20))):
        scenario.cluster.proxy.configure("kafka", responses_to_drop=2)
        scenario.run_load(1.5)


DRILLS = (
    Drill(
        "reply-lost-redis",
        "responses of Redis: lost, the request took effect",
        GUARANTEE_IDS,
        drop_redis_replies,
        in_short_run=True,
        cluster_spec=ClusterSpec(use_tcp_proxy=True),
        retry_later_kinds=ALL_REQUEST_KINDS,
    ),
    Drill(
        "reply-lost-postgres",
        "responses of PostgreSQL: lost after the commit",
        GUARANTEE_IDS,
        drop_postgres_replies,
        cluster_spec=ClusterSpec(use_tcp_proxy=True),
        retry_later_kinds=ALL_REQUEST_KINDS,
    ),
    Drill(
        "reply-lost-kafka",
        "acknowledgements of Kafka: lost",
        GUARANTEE_IDS,
        drop_kafka_replies,
        cluster_spec=ClusterSpec(use_tcp_proxy=True),
    ),
)
