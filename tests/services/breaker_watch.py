"""A process of ours that asks a service again and again and says how it went: one line per call,
`done | refused`, the seconds it took, and the breaker's state. Started by
test_breakers_of_real_services.py: under gevent, as everything of ours runs."""

from app.green import patch, wait_with

patch()

import sys
import time

import gevent
from sqlalchemy import text

from app import breakers
from app.domain.errors import Unavailable
from app.patience import RequestPatience
from app.settings import load
from app.stores import postgres
from app.stores import redis as redis_store
from app.streams.kafka import Record
from app.streams.topics import create_topics
from app.wiring import WorkerParts, build_workers

TOPIC = "asked-by-a-test"


def ask(wired: WorkerParts, name: str) -> None:
    if name == "redis":
        with redis_store.speaking("answer"):
            wired.parts.redis.ping()
    elif name == "kafka":
        wired.publisher.publish([Record(TOPIC, "key", b"value")])
    else:
        with postgres.speaking("answer"), wired.parts.engine.connect() as sql:
            sql.execute(text("select 1"))


def main(name: str) -> None:
    wait_with(RequestPatience())  # as the web process waits; a worker has forty seconds a call
    settings = load()
    wired = build_workers(settings, "test")
    if name == "kafka":
        create_topics(settings.addresses.kafka_bootstrap_servers, {TOPIC: 1}, 1, 3_600_000)
    breaker = next(one for one in breakers.ALL if one.name == name)
    while True:
        began, said = time.monotonic(), "done"
        try:
            ask(wired, name)
        except Unavailable:
            said = "refused"
        sys.stdout.write(f"{said} {time.monotonic() - began:.3f} {breaker.state}\n")
        sys.stdout.flush()
        gevent.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
