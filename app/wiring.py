"""Settings -> clients -> stores and streams -> parts. The only place that joins them.

Nothing here connects: every client does so when it is first used, so that each process starts
without any service and waits for it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
import uuid_utils
from gevent import monkey
from gevent.pool import Pool
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from app import breakers, slots
from app.actions import Actions, Clock
from app.direct import Direct
from app.domain.errors import Unavailable
from app.domain.loops import Loop
from app.seals import Seals
from app.settings import Settings
from app.stores import postgres
from app.stores import redis as redis_store
from app.stores.amends import Amends
from app.stores.comments import Comments
from app.stores.direct_words import DirectWords, Seqs
from app.stores.gate import Gate
from app.stores.heartbeats import Heartbeats
from app.stores.ledger import Hand, Ledger
from app.stores.memberships import Bounds, Memberships
from app.stores.multiplex import Multiplexer, SharedScript
from app.stores.removals import Removals
from app.stores.windows import Windows
from app.streams import clients as kafka_clients
from app.streams.critical import Aside, Critical
from app.streams.dead_letters import DeadLetters
from app.streams.fallback import FallbackQueue
from app.streams.ingress import Ingress
from app.streams.kafka import KafkaPublisher, Subscriber
from app.streams.publisher import GuardedPublisher
from app.streams.push import Push
from app.streams.straight import Straight
from app.streams.topics import create_topics

log = logging.getLogger(__name__)
ASIDE = 200


def new_id() -> str:
    """A UUIDv7 (uuid-utils: Python has none before 3.14)."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True)
class Parts:
    """What the edges work with."""

    settings: Settings
    engine: Engine
    urgent: Engine
    """For what is critical: a few connections that no crowd can take."""
    redis: redis.Redis
    actions: Actions
    memberships: Memberships
    comments: Comments
    ingress: Ingress
    gate: Gate
    windows: Windows
    push: Push
    critical: Critical
    heartbeats: Heartbeats
    removals: Removals
    clock: Callable[[], float]


@dataclass(frozen=True)
class WorkerParts:
    """What the workers need beyond them."""

    parts: Parts
    kafka: KafkaPublisher
    publisher: GuardedPublisher
    fallback: FallbackQueue
    dead_letters: DeadLetters
    ledger: Ledger

    def subscriber(self, loop: Loop) -> Subscriber:
        """By the group of one of loops.READERS."""
        settings = self.parts.settings
        servers = settings.addresses.kafka_bootstrap_servers
        instance = slots.instance_id(settings.data_dir / "slots", loop.process)
        return Subscriber(servers, loop.group, str(loop.topic), instance)

    def redis_is_safe(self) -> None:
        """Raises Unavailable with the sentence that says what to set. Away is not wrong: whoever
        works without Redis may begin without it."""
        try:
            sentence = redis_store.wrong_policy(self.parts.redis)
        except Unavailable as fault:
            log.warning("Whether Redis is safe is not known yet: %s", fault)
            return
        if sentence:
            raise Unavailable(sentence, "redis_policy")

    def ready(self) -> None:
        """What a worker's first step waits for. Raises Unavailable with what is missing."""
        settings = self.parts.settings
        self.redis_is_safe()
        check_tables(self.parts.engine)
        kafka = settings.kafka
        create_topics(
            settings.addresses.kafka_bootstrap_servers,
            kafka.partitions,
            kafka.replication_factor,
            kafka.retention_ms,
        )


def check_tables(engine: Engine) -> None:
    """Raises Unavailable when the migrations have not run."""
    try:
        with postgres.speaking("show its tables"), engine.connect() as sql:
            sql.execute(text("select 1 from epochs limit 1"))
    except ProgrammingError as fault:
        raise Unavailable("PostgreSQL has no tables yet: run make migrate", "no_tables") from fault


def build(settings: Settings) -> Parts:
    """The web process's parts."""
    addresses = settings.addresses
    engine = postgres.engine(addresses.database_url)
    return _parts(settings, engine)


def build_workers(settings: Settings, name: str) -> WorkerParts:
    """A worker's parts: a longer patience with statements, and Kafka."""
    addresses = settings.addresses
    engine = postgres.engine(addresses.database_url, postgres.WORKER_STATEMENT_MS, name)
    parts = _parts(settings, engine)
    kafka = KafkaPublisher(addresses.kafka_bootstrap_servers)
    publisher = GuardedPublisher(kafka)
    return WorkerParts(
        parts=parts,
        kafka=kafka,
        publisher=publisher,
        fallback=FallbackQueue(engine, settings.limits.fallback_max_retries),
        dead_letters=DeadLetters(engine, publisher),
        ledger=Ledger(
            engine, settings.rules.group_max_hours, Hand(time.time, new_id), Amends(parts.redis)
        ),
    )


def _shared_wish(settings: Settings) -> SharedScript | None:
    """The fast way for likes, in a process whose blocking is gevent's; elsewhere redis-py's."""
    if not monkey.is_module_patched("socket"):
        return None
    url = settings.addresses.redis_url
    wire = Multiplexer(url, redis_store.CONNECT_SECONDS, redis_store.COMMAND_SECONDS)
    return wire.script("wish")


def _aside() -> Aside:
    """Runs what nobody waits for; when too much of that is under way, whoever asks waits."""
    if not monkey.is_module_patched("socket"):
        return lambda act: act()
    pool = Pool(ASIDE)
    return lambda act: act() if pool.full() else pool.spawn(act)


def _guard(settings: Settings) -> None:
    """The breakers by the settings. Redis, PostgreSQL and Kafka are asked aside whether they are
    back."""
    breakers.configure(settings.breakers.failures, settings.breakers.reset_seconds)
    if not monkey.is_module_patched("socket"):
        return  # nothing runs aside there: a call is the probe
    addresses = settings.addresses
    breakers.REDIS.watch(lambda: redis_store.knock(addresses.redis_url))
    breakers.POSTGRES.watch(lambda: postgres.knock(addresses.database_url))
    breakers.KAFKA.watch(lambda: kafka_clients.knock(addresses.kafka_bootstrap_servers))


def _direct(settings: Settings, engine: Engine, gate: Gate) -> Direct:
    """A Kafka client of its own, made when Redis first lets us down, with a short patience."""
    kafka = KafkaPublisher(settings.addresses.kafka_bootstrap_servers)
    limits, publisher = settings.limits, GuardedPublisher(kafka)
    together = monkey.is_module_patched("socket")
    fallback = FallbackQueue(engine, limits.fallback_max_retries)
    words = DirectWords(engine, Seqs(time.time))
    return Direct(gate, words, Straight(publisher, fallback, limits.ingress_shards, together))


def _parts(settings: Settings, engine: Engine) -> Parts:
    _guard(settings)
    connection = redis_store.client(settings.addresses.redis_url)
    limits = settings.limits
    bounds = Bounds(limits.ingress_shards, limits.ingress_max_length, limits.write_deadline_seconds)
    glance = redis_store.Glance()
    gate = Gate(connection, engine)
    direct = _direct(settings, engine, gate)
    memberships = Memberships(connection, engine, bounds, _shared_wish(settings), glance, gate)
    comments = Comments(connection, engine, glance, gate)
    ingress = Ingress(connection, bounds)
    push = Push(settings.addresses.redis_url)
    urgent = postgres.engine(settings.addresses.database_url, size=postgres.URGENT_POOL_SIZE)
    critical = Critical(
        Ledger(urgent, settings.rules.group_max_hours, Hand(time.time, new_id)),
        ingress,
        FallbackQueue(urgent, limits.fallback_max_retries),
        push,
        time.time,
        _aside(),
        Seals(settings.web.secret_key),
    )
    clock = Clock(time.time, new_id)
    return Parts(
        settings=settings,
        engine=engine,
        urgent=urgent,
        redis=connection,
        actions=Actions(memberships, comments, ingress, engine, clock, critical.tell, direct),
        gate=gate,
        memberships=memberships,
        comments=comments,
        ingress=ingress,
        windows=Windows(connection),
        push=push,
        critical=critical,
        heartbeats=Heartbeats(connection, breakers.states),
        removals=Removals(engine, connection, Hand(time.time, new_id), direct.tell_redis),
        clock=time.time,
    )
