"""python -m workers bridge | aggregator | flusher | deliverer | all"""

from app.green import patch

patch()

import logging
import os
import random
import sys
import time
from collections.abc import Callable

from app import logs
from app.domain.pacing import jittered
from app.domain.routing import GROUPS, Topic
from app.offsets import lane_commits, lane_ends
from app.seals import Seals
from app.settings import load
from app.stores.bell import Bell
from app.stores.delivery_log import DeliveryLog, dynamodb
from app.stores.direct_words import DirectWords, Seqs
from app.stores.fences import ClearedFrames
from app.stores.figures import Figures
from app.stores.frames import OUTBOX_CHANNEL
from app.stores.held import Held
from app.stores.leases import Lease
from app.stores.urgency import CRITICAL_CHANNEL
from app.stores.urgent_letters import UrgentLetters
from app.stores.users import Users
from app.streams.letters import carriers
from app.streams.post_updates import PostUpdates
from app.streams.relay import Relay
from app.wiring import WorkerParts, build_workers, check_tables, new_id
from workers.aggregator import Aggregator, Ends
from workers.aggregator import Hand as AggregatorHand
from workers.bridge import Bridge
from workers.courier import Courier, Scribe
from workers.deliverer import BATCH as RECORD_BATCH
from workers.deliverer import Deliverer, Recorder
from workers.flusher import Flusher
from workers.keeper import Keeper, Places
from workers.life import Worker, supervise
from workers.postman import LETTERS_GROUP, Postman
from workers.watchdog import Watchdog

FLUSH_SECONDS, FLUSH_SPREAD = 0.25, 0.1
HELD_SECONDS, HELD_SPREAD = 1.0, 0.3
RECORD_SECONDS = 0.4
LANES = (Topic.CRITICAL, Topic.HIGH, Topic.LOW)


def bridge(wired: WorkerParts) -> list[Worker]:
    parts = wired.parts
    note = Figures(parts.redis).note
    one = Bridge(parts.ingress, wired.publisher, wired.fallback, wired.dead_letters, new_id, note)

    def prepare() -> None:
        # Needs Redis alone: with Kafka or PostgreSQL away the bridge still works.
        wired.redis_is_safe()
        one.prepare()

    # step() itself waits for news while nothing moves
    return [Worker("bridge", one.step, _none, parts.heartbeats.beat, prepare, one.release)]


def aggregator(wired: WorkerParts) -> list[Worker]:
    parts = wired.parts
    hand = AggregatorHand(time.time, random.random, new_id)
    posts = PostUpdates(parts.memberships, parts.comments, parts.push)
    note = Figures(parts.redis).note
    ends = Ends(parts.windows, wired.ledger, wired.dead_letters, posts, parts.comments, note)
    workers = []
    for topic in LANES:
        subscriber = wired.subscriber(GROUPS[topic], topic)
        lane = Aggregator(subscriber, ends, parts.settings.rules, hand)
        name = f"aggregator-{topic.value.partition('-')[0]}"
        workers.append(
            Worker(name, lane.step, _none, parts.heartbeats.beat, wired.ready, subscriber.close)
        )
    return workers


def flusher(wired: WorkerParts) -> list[Worker]:
    parts = wired.parts
    rows = parts.settings.rules.flush_max_rows
    note = Figures(parts.redis).note
    one = Flusher(
        parts.windows, wired.ledger, parts.comments, wired.dead_letters, rows, time.time, note
    )
    relay = Relay(parts.engine, wired.publisher, new_id(), wired.dead_letters, note)
    bell = Bell(parts.settings.addresses.database_url, OUTBOX_CHANNEL)

    def relay_rest() -> float:
        bell.wait(jittered(1.0, 0.3, random.random()))  # noqa: S311 - a pause
        return 0.0

    beat = parts.heartbeats.beat
    gate = keeper(wired)

    def tables_are_there() -> None:
        check_tables(parts.engine)

    return [
        Worker("flusher", one.step, _flush_rest, beat, wired.ready),
        # Needs neither Kafka nor Redis to notice that Redis is away or empty.
        Worker("keeper", gate.step, gate.rest, beat, tables_are_there, gate.release),
        # What quiet hours held rings at their end.
        Worker("held", Held(parts.engine, time.time).ring_due, _held_rest, beat, wired.ready),
        Worker("relay", relay.step, relay_rest, beat, wired.ready, relay.release),
    ]


def keeper(wired: WorkerParts) -> Keeper:
    parts = wired.parts
    servers = parts.settings.addresses.kafka_bootstrap_servers
    words = DirectWords(parts.engine, parts.gate, Seqs(time.time))
    places = Places(
        parts.ingress,
        wired.fallback,
        lambda: lane_ends(servers),
        lambda: lane_commits(servers),
        parts.windows,
    )
    lease = Lease(parts.engine, "keeper", new_id())
    return Keeper(parts.redis, parts.gate, words, places, lease, new_id)


def deliverer(wired: WorkerParts) -> list[Worker]:
    parts = wired.parts
    ready = wired.subscriber(GROUPS[Topic.READY], Topic.READY)
    logged = wired.subscriber("delivery-log-consumer", Topic.READY)
    addresses = parts.settings.addresses
    delivery_log = DeliveryLog(dynamodb(addresses.dynamodb_endpoint_url, addresses.aws_region))
    note = Figures(parts.redis).note
    cleared = ClearedFrames(parts.redis).up_to
    one = Deliverer(ready, parts.push, wired.dead_letters, cleared, note)
    letters = wired.subscriber(LETTERS_GROUP, Topic.READY)
    settings = parts.settings
    carried = carriers(settings.data_dir, settings.smtp_url, settings.sms_webhook_url)
    seals = Seals(settings.web.secret_key)
    emails = Users(parts.engine).emails
    postman = Postman(letters, carried, emails, wired.dead_letters, seals)
    lease = Lease(parts.engine, "courier", new_id())
    scribe = Scribe(emails, seals)
    courier = Courier(UrgentLetters(parts.engine), carried, scribe, wired.dead_letters, lease)
    bell = Bell(addresses.database_url, CRITICAL_CHANNEL)
    recorder = Recorder(logged, delivery_log, time.time, note)

    def recorder_ready() -> None:
        wired.ready()
        delivery_log.create()

    def tables_are_there() -> None:
        check_tables(parts.engine)  # a code by e-mail waits for nothing else

    def courier_rest() -> float:
        bell.wait(jittered(1.0, 0.3, random.random()))  # noqa: S311 - a pause
        return 0.0

    def record_unhurried() -> int:
        """The log shares a processor with the toasts: it gathers a moment's frames for one call."""
        moved = recorder.step()
        return moved if moved >= RECORD_BATCH else 0

    beat = parts.heartbeats.beat
    return [
        Worker("deliverer", one.step, _none, beat, wired.ready, ready.close),
        Worker("postman", postman.step, _none, beat, wired.ready, letters.close),
        Worker("courier", courier.step, courier_rest, beat, tables_are_there, lease.release),
        Worker("recorder", record_unhurried, _record_rest, beat, recorder_ready, logged.close),
    ]


def _none() -> float:
    return 0.0


def _record_rest() -> float:
    return RECORD_SECONDS


def _held_rest() -> float:
    return jittered(HELD_SECONDS, HELD_SPREAD, random.random())  # noqa: S311 - a pause


def _flush_rest() -> float:
    return jittered(FLUSH_SECONDS, FLUSH_SPREAD, random.random())  # noqa: S311 - a pause


KINDS: dict[str, Callable[[WorkerParts], list[Worker]]] = {
    "bridge": bridge,
    "aggregator": aggregator,
    "flusher": flusher,
    "deliverer": deliverer,
}


def main(arguments: list[str]) -> int:
    names = list(KINDS) if arguments == ["all"] else arguments
    if not names or any(name not in KINDS for name in names):
        sys.stderr.write(f"usage: python -m workers {' | '.join(KINDS)} | all\n")
        return 2
    settings = load()
    logs.set_up(settings.log_level, settings.log_format)
    logs.redact_tracebacks()
    workers = [worker for name in names for worker in KINDS[name](build_workers(settings, name))]
    Watchdog().start()
    return supervise(workers)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # All is closed. Python's own way out destroys the libraries' greenlets one by one, and was
    # seen to hang for good in one of kafka-python's.
    logging.shutdown()
    os._exit(code)
