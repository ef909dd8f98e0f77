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
from app.domain.loops import LOOPS, of_process
from app.domain.pacing import jittered
from app.links import Links
from app.offsets import lane_commits, lane_ends
from app.seals import Seals
from app.settings import load
from app.stores.bell import Bell
from app.stores.comment_deletions import CommentDeletions
from app.stores.delivery_log import DeliveryLog, dynamodb
from app.stores.direct_words import DirectWords, Seqs
from app.stores.fences import ClearedFrames
from app.stores.figures import Figures
from app.stores.frames import OUTBOX_CHANNEL
from app.stores.held import Held
from app.stores.leases import Lease
from app.stores.outgoing import OutgoingMessages
from app.stores.profile_changes import ProfileChanges
from app.stores.serializer import Presenter
from app.stores.urgency import CRITICAL_CHANNEL
from app.streams.post_updates import PostUpdates
from app.streams.relay import Relay
from app.streams.transports import transports
from app.wiring import WorkerParts, build_workers, check_tables, new_id
from workers.aggregator import Aggregator, Ends
from workers.aggregator import Hand as AggregatorHand
from workers.bridge import Bridge
from workers.deliverer import BATCH as RECORD_BATCH
from workers.deliverer import Deliverer, Recorder
from workers.flusher import Flusher
from workers.keeper import Deletions, Keeper, Places
from workers.life import Worker, supervise
from workers.mail_consumer import MailConsumer
from workers.mailer import Hand as MailerHand
from workers.mailer import Mailer, Writer
from workers.watchdog import Watchdog

FLUSH_SECONDS, FLUSH_SPREAD = 0.25, 0.1
HELD_SECONDS, HELD_SPREAD = 1.0, 0.3
RECORD_SECONDS = 0.4
MAIL_SECONDS = 0.25
"""While messages are under way the mailer looks this often for others."""


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
    pending = parts.memberships.pending
    ends = Ends(
        parts.windows, wired.ledger, wired.dead_letters, posts, parts.comments, pending, note
    )
    workers = []
    for loop in of_process("aggregator"):
        subscriber = wired.subscriber(loop)
        lane = Aggregator(subscriber, ends, parts.settings.rules, hand)
        beat = parts.heartbeats.beat
        workers.append(Worker(loop.name, lane.step, _none, beat, wired.ready, subscriber.close))
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
        # Open pages that show somebody's former name or picture are corrected.
        Worker(
            "profile-changes",
            ProfileChanges(parts.engine).step,
            _held_rest,
            beat,
            tables_are_there,
        ),
        Worker("relay", relay.step, relay_rest, beat, wired.ready, relay.release),
    ]


def keeper(wired: WorkerParts) -> Keeper:
    parts = wired.parts
    servers = parts.settings.addresses.kafka_bootstrap_servers
    words = DirectWords(parts.engine, Seqs(time.time))
    places = Places(
        parts.ingress,
        wired.fallback,
        lambda: lane_ends(servers),
        lambda: lane_commits(servers),
        parts.windows,
    )
    deletions = Deletions(
        parts.removals.updates.apply_waiting,
        CommentDeletions(parts.engine),
        parts.actions.delete_comment,
    )
    lease = Lease(parts.engine, "keeper", new_id())
    return Keeper(parts.redis, parts.gate, words, places, deletions, lease, new_id)


def deliverer(wired: WorkerParts) -> list[Worker]:
    parts = wired.parts
    ready = wired.subscriber(LOOPS["deliverer"])
    logged = wired.subscriber(LOOPS["recorder"])
    addresses = parts.settings.addresses
    delivery_log = DeliveryLog(dynamodb(addresses.dynamodb_endpoint_url, addresses.aws_region))
    note = Figures(parts.redis).note
    cleared = ClearedFrames(parts.redis).up_to
    present = Presenter(parts.engine).present
    one = Deliverer(ready, parts.push, present, wired.dead_letters, cleared, note)
    mail = wired.subscriber(LOOPS["mail-queue"])
    messages = OutgoingMessages(parts.engine)
    mail_consumer = MailConsumer(mail, messages, time.time)
    mailer = _mailer(wired, messages)
    bell = Bell(addresses.database_url, CRITICAL_CHANNEL)
    recorder = Recorder(logged, delivery_log, time.time, note)

    def recorder_ready() -> None:
        wired.ready()
        delivery_log.create()

    def tables_are_there() -> None:
        check_tables(parts.engine)  # a code by e-mail waits for nothing else

    def mailer_rest() -> float:
        if not mailer.wait(MAIL_SECONDS):
            bell.wait(jittered(1.0, 0.3, random.random()))  # noqa: S311 - a pause
        return 0.0

    def record_unhurried() -> int:
        """The log shares a processor with the toasts: it gathers a moment's frames for one call."""
        moved = recorder.step()
        return moved if moved >= RECORD_BATCH else 0

    beat = parts.heartbeats.beat
    return [
        Worker("deliverer", one.step, _none, beat, wired.ready, ready.close),
        Worker("mail-queue", mail_consumer.step, _none, beat, wired.ready, mail.close),
        Worker("mailer", mailer.step, mailer_rest, beat, tables_are_there, mailer.close),
        Worker("recorder", record_unhurried, _record_rest, beat, recorder_ready, logged.close),
    ]


def _mailer(wired: WorkerParts, messages: OutgoingMessages) -> Mailer:
    settings = wired.parts.settings
    by_channel = transports(
        settings.data_dir, settings.smtp_url, settings.sms_webhook_url, settings.mail_from
    )
    secret = settings.web.secret_key
    writer = Writer(Seals(secret), Links(secret, settings.public_url))
    hand = MailerHand(time.time, random.random)
    return Mailer(messages, by_channel, writer, hand, Figures(wired.parts.redis).note)


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


def of(process: str, wired: WorkerParts) -> list[Worker]:
    """Its loops: exactly those of the table, which says to everybody else what must be alive."""
    made = KINDS[process](wired)
    if {worker.name for worker in made} != {loop.name for loop in of_process(process)}:
        raise RuntimeError(f"app/domain/loops.py has other loops for {process}")
    return made


def main(arguments: list[str]) -> int:
    names = list(KINDS) if arguments == ["all"] else arguments
    if not names or any(name not in KINDS for name in names):
        sys.stderr.write(f"usage: python -m workers {' | '.join(KINDS)} | all\n")
        return 2
    settings = load()
    logs.set_up(settings.log_level, settings.log_format)
    logs.redact_tracebacks()
    workers = [worker for name in names for worker in of(name, build_workers(settings, name))]
    Watchdog().start()
    return supervise(workers)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # All is closed. Python's own way out destroys the libraries' greenlets one by one, and was
    # seen to hang for good in one of kafka-python's.
    logging.shutdown()
    os._exit(code)
