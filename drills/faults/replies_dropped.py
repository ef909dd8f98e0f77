"""Responses of Redis, PostgreSQL or Kafka are lost after the request took effect."""

from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario
from drills.sandbox import ClusterSpec


def create_drill(
    service: str,
    fault_description: str,
    short_rounds: int,
    full_rounds: int,
    pause_seconds: float,
    retry_later_kinds: frozenset[str],
) -> Drill:
    def drop_replies(scenario: Scenario) -> None:
        assert scenario.cluster.proxy
        for _ in range(int(scenario.pick_short_or_full(short_rounds, full_rounds))):
            scenario.cluster.proxy.configure(service, responses_to_drop=2)
            scenario.run_load(pause_seconds)

    return Drill(
        f"reply-lost-{service}",
        fault_description,
        ("P1", "P2", "P3", "P4"),
        drop_replies,
        in_short_run=service == "redis",
        cluster_spec=ClusterSpec(use_tcp_proxy=True),
        retry_later_kinds=retry_later_kinds,
    )


DRILLS = (
    create_drill(
        "redis", "responses of Redis: lost, the request took effect", 15, 40, 0.5, ALL_REQUEST_KINDS
    ),
    create_drill(
        "postgres", "responses of PostgreSQL: lost after the commit", 10, 30, 0.7, ALL_REQUEST_KINDS
    ),
    create_drill("kafka", "acknowledgements of Kafka: lost", 8, 20, 1.5, frozenset()),
)
