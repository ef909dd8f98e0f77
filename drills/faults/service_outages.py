"""One service is killed or frozen under load, once or several times; the rows differ in service, time and
limits.

kafka           writes go on into the fallback queue, which is replayed; frozen, its kernel still acknowledges
                data, so only our own deadlines detect it
redis           calls that waited in its socket must not overwrite newer writes when it resumes
postgres        likes of cached posts go on, other requests are answered 503
dynamodb        delivery is not delayed, the delivery log is complete afterwards
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from app.ingest.cache_loader import MembershipCacheLoader
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from drills.drill import ALL_REQUEST_KINDS, POSTGRES_KINDS, Drill, Scenario
from drills.sandbox import ClusterSpec

Step = Callable[[Scenario], None]
CONSUMER_SESSION_SECONDS = 15.0
CACHED_LIKE_KINDS = frozenset({"like", "unlike"})
STORM_PROFILE = (
    ("request_weights", {"like": 50.0, "unlike": 45.0, "comment": 3.0, "read": 2.0}),
    ("hot_post_share", 0.7),
    ("requests_per_second", 150.0),
)
SMALL_CACHE_IDLE_SECONDS = 5
SMALL_CACHE = ClusterSpec(
    settings=(("MEMBERSHIP_CACHE_MAX", "5"), ("MEMBERSHIP_CACHE_IDLE_SECONDS", str(SMALL_CACHE_IDLE_SECONDS)))
)
"""Far smaller than the data: posts are large, and leave Redis all the time."""


def load(short_seconds: float, full_seconds: float) -> Step:
    return lambda scenario: scenario.run_load(scenario.pick_short_or_full(short_seconds, full_seconds))


def kill(service: str, short_seconds: float, full_seconds: float) -> Step:
    return lambda scenario: scenario.kill_and_restart(
        scenario.pick_short_or_full(short_seconds, full_seconds), service
    )


def freeze(service: str, short_seconds: float, full_seconds: float) -> Step:
    return lambda scenario: scenario.freeze_services(
        scenario.pick_short_or_full(short_seconds, full_seconds), service
    )


def kill_bridge(scenario: Scenario) -> None:
    scenario.get_process("bridge").kill()


def require_queued_events(scenario: Scenario) -> None:
    scenario.measurements["queued"] = len(scenario.cluster.query("select 1 from kafka_fallback_queue"))
    if not scenario.measurements["queued"]:
        scenario.violations.append("no event went through the fallback queue")


def load_all_caches(scenario: Scenario) -> None:
    """Loads all posts and users of the drill into Redis, as reads would."""
    cache_loader = MembershipCacheLoader(scenario.cluster.redis, scenario.cluster.engine)
    for object_id in scenario.fixtures.user_ids:
        cache_loader.load_if_missing(USER_FOLLOWS, object_id)
    for object_id in scenario.fixtures.post_ids:
        cache_loader.load_if_missing(POST_LIKES, object_id)


def _run_steps(steps: tuple[Step, ...], scenario: Scenario) -> None:
    for step in steps:
        step(scenario)


def _drill(template: Drill, name: str, fault_description: str, *steps: Step, short: bool = False) -> Drill:
    """A row: the limits of the template, and the steps that inject the fault."""
    return replace(
        template,
        name=name,
        fault_description=fault_description,
        inject_fault=partial(_run_steps, steps),
        in_short_run=short,
    )


def _limits(*guarantee_ids: str) -> Drill:
    return Drill("", "", guarantee_ids, partial(_run_steps, ()))


KAFKA_KILLED, KAFKA_FROZEN = _limits("P1", "P2", "P5", "P6"), _limits("P1", "P2", "P3", "P5", "P6")
STORM = replace(_limits("P1", "P2", "P3", "P6"), load_profile=STORM_PROFILE)
REDIS = replace(_limits("P1", "P2", "P4", "P7"), rare_retry_later_kinds=ALL_REQUEST_KINDS)
"""Only requests that were waiting for Redis may be answered 503."""
REDIS_FROZEN = replace(REDIS, guarantee_ids=("P1", "P2", "P7", "P11"))
POSTGRES = replace(
    _limits("P1", "P2", "P8", "P11"),
    retry_later_kinds=POSTGRES_KINDS,
    rare_retry_later_kinds=CACHED_LIKE_KINDS,
)
POSTGRES_FROZEN = replace(POSTGRES, max_quiescence_seconds=200)
DYNAMODB = replace(_limits("P9"), max_critical_p99_seconds=1.0)
NOTHING = replace(_limits("P1", "P3", "P4", "P12"), max_critical_p99_seconds=1.0)
EVICTION = replace(_limits("P1", "P2", "P4", "P11"), cluster_spec=SMALL_CACHE)
EVICTION_WITHOUT_POSTGRES = replace(
    EVICTION,
    guarantee_ids=("P1", "P2", "P8", "P11"),
    retry_later_kinds=POSTGRES_KINDS | CACHED_LIKE_KINDS,
)

DRILLS = (
    _drill(NOTHING, "nothing-broken", "nothing", load(6, 20)),
    _drill(DYNAMODB, "dynamodb-killed", "DynamoDB: SIGKILL, restarted later", kill("dynamodb", 8, 60)),
    _drill(DYNAMODB, "dynamodb-frozen", "DynamoDB: SIGSTOP", freeze("dynamodb", 8, 60)),
    _drill(
        KAFKA_KILLED,
        "kafka-killed",
        "Kafka: SIGKILL, restarted later",
        kill("kafka", 8, 60),
        require_queued_events,
        short=True,
    ),
    _drill(KAFKA_FROZEN, "kafka-frozen", "Kafka: SIGSTOP 3 s", freeze("kafka", 3, 3)),
    _drill(
        KAFKA_FROZEN,
        "kafka-frozen-long",
        "Kafka: SIGSTOP past the session timeout",  # then every consumer rejoins its group
        freeze("kafka", CONSUMER_SESSION_SECONDS, 50),
    ),
    _drill(
        STORM, "storm-kafka", "Kafka: unavailable during a storm of likes", kill("kafka", 8, 40), load(2, 6)
    ),
    _drill(
        STORM,
        "storm-kafka-bridge",
        "Kafka unavailable during a storm of likes, the bridge killed during the replay",
        kill("kafka", 8, 40),
        *(kill_bridge, load(1.5, 3)) * 3,
        short=True,
    ),
    _drill(REDIS, "redis-killed", "Redis: SIGKILL, restarted later", kill("redis", 6, 60), short=True),
    _drill(REDIS, "redis-killed-5", "Redis: SIGKILL five times", *(kill("redis", 0.5, 0.5), load(2, 5)) * 5),
    _drill(REDIS_FROZEN, "redis-frozen", "Redis: SIGSTOP 3 s", freeze("redis", 3, 3), short=True),
    _drill(REDIS_FROZEN, "redis-frozen-long", "Redis: SIGSTOP 30 s", freeze("redis", 8, 30)),
    _drill(
        POSTGRES,
        "postgres-killed",
        "PostgreSQL: SIGKILL, restarted later",
        load_all_caches,
        kill("postgres", 8, 60),
        short=True,
    ),
    _drill(
        POSTGRES,
        "postgres-killed-4",
        "PostgreSQL: SIGKILL four times",
        load_all_caches,
        *(kill("postgres", 0.3, 0.3), load(3, 6)) * 4,
    ),
    _drill(
        POSTGRES_FROZEN,
        "postgres-frozen",
        "PostgreSQL: SIGSTOP",
        load_all_caches,
        freeze("postgres", 6, 50),
        short=True,
    ),
    _drill(
        EVICTION,
        "eviction-under-load",
        "nothing; Redis holds 5 members of a post, for 5 s",
        load(8, 60),
        short=True,
    ),
    _drill(
        EVICTION_WITHOUT_POSTGRES,
        "eviction-under-load-postgres-killed",
        "PostgreSQL: SIGKILL; Redis holds 5 members of a post, for 5 s",
        kill("postgres", 8, 60),
    ),
)
