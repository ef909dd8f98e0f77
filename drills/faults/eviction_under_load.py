"""A cache far smaller than the data: posts are large, and leave Redis all the time."""

from drills.drill import POSTGRES_KINDS, Drill, Scenario
from drills.faults.postgres_unavailable import CACHED_LIKE_KINDS
from drills.sandbox import ClusterSpec

IDLE_SECONDS = 5
CLUSTER_SPEC = ClusterSpec(
    settings=(("MEMBERSHIP_CACHE_MAX", "5"), ("MEMBERSHIP_CACHE_IDLE_SECONDS", str(IDLE_SECONDS)))
)


def run_load_only(scenario: Scenario) -> None:
    scenario.run_load(scenario.pick_short_or_full(8, 60))


def kill_postgres(scenario: Scenario) -> None:
    scenario.kill_and_restart(scenario.pick_short_or_full(8, 60), "postgres")


DRILLS = (
    Drill(
        "eviction-under-load",
        "nothing; Redis holds 5 members of a post, for 5 s",
        ("P1", "P2", "P4", "P11"),
        run_load_only,
        in_short_run=True,
        cluster_spec=CLUSTER_SPEC,
    ),
    Drill(
        "eviction-under-load-postgres-killed",
        "PostgreSQL: SIGKILL; Redis holds 5 members of a post, for 5 s",
        ("P1", "P2", "P8", "P11"),
        kill_postgres,
        cluster_spec=CLUSTER_SPEC,
        retry_later_kinds=POSTGRES_KINDS | CACHED_LIKE_KINDS,
    ),
)
