"""Two failures at once, Kafka and PostgreSQL: writes go on until the ingress is full, then are answered 503.

Accepted writes are in the tables afterwards.
"""

from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario
from drills.sandbox import ClusterSpec

INGRESS_LIMIT = 1500


def kill_kafka_and_postgres(scenario: Scenario) -> None:
    scenario.kill_services("kafka", "postgres")
    scenario.run_load(scenario.pick_short_or_full(25, 60))
    ingress_length = sum(scenario.cluster.redis.xlen(f"ingress:{shard}") for shard in range(5))
    scenario.measurements["ingress"] = ingress_length
    if ingress_length > INGRESS_LIMIT + 5:
        scenario.violations.append(f"the ingress holds {ingress_length}, more than {INGRESS_LIMIT}")
    scenario.cluster.services.start("kafka", "postgres")


DRILLS = (
    Drill(
        "both-away",
        f"Kafka and PostgreSQL: both SIGKILL, ingress limit {INGRESS_LIMIT}",
        ("P1", "P2", "P11"),
        kill_kafka_and_postgres,
        cluster_spec=ClusterSpec(settings=(("INGRESS_MAX_LENGTH", str(INGRESS_LIMIT)),)),
        retry_later_kinds=ALL_REQUEST_KINDS,
        max_quiescence_seconds=240,
    ),
)
