"""PostgreSQL is killed or frozen: likes of cached posts go on, other requests are answered 503."""

from app.ingest.cache_loader import MembershipCacheLoader
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from drills.drill import POSTGRES_KINDS, Drill, Scenario

GUARANTEE_IDS = ("P1", "P2", "P8", "P11")


def load_all_caches(scenario: Scenario) -> None:
    """Loads all posts and users of the drill into Redis, as reads would."""
    cache_loader = MembershipCacheLoader(scenario.cluster.redis, scenario.cluster.engine)
    for object_id in scenario.fixtures.user_ids:
        cache_loader.load_if_missing(USER_FOLLOWS, object_id)
    for object_id in scenario.fixtures.post_ids:
        cache_loader.load_if_missing(POST_LIKES, object_id)


def kill_postgres(scenario: Scenario) -> None:
    load_all_caches(scenario)
    scenario.kill_and_restart(scenario.pick_short_or_full(8, 60), "postgres")


def kill_postgres_repeatedly(scenario: Scenario) -> None:
    load_all_caches(scenario)
    for _ in range(4):
        scenario.kill_and_restart(0.3, "postgres")
        scenario.run_load(scenario.pick_short_or_full(3, 6))


def freeze_postgres(scenario: Scenario) -> None:
    load_all_caches(scenario)
    scenario.freeze_services(scenario.pick_short_or_full(6, 50), "postgres")


CACHED_LIKE_KINDS = frozenset({"like", "unlike"})
DRILLS = (
    Drill(
        "postgres-killed",
        "PostgreSQL: SIGKILL, restarted later",
        GUARANTEE_IDS,
        kill_postgres,
        in_short_run=True,
        retry_later_kinds=POSTGRES_KINDS,
        rare_retry_later_kinds=CACHED_LIKE_KINDS,
    ),
    Drill(
        "postgres-killed-4",
        "PostgreSQL: SIGKILL four times",
        GUARANTEE_IDS,
        kill_postgres_repeatedly,
        retry_later_kinds=POSTGRES_KINDS,
        rare_retry_later_kinds=CACHED_LIKE_KINDS,
    ),
    Drill(
        "postgres-frozen",
        "PostgreSQL: SIGSTOP",
        GUARANTEE_IDS,
        freeze_postgres,
        in_short_run=True,
        retry_later_kinds=POSTGRES_KINDS,
        rare_retry_later_kinds=CACHED_LIKE_KINDS,
        max_quiescence_seconds=200,
    ),
)
