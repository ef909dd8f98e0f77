"""Calls a service repeatedly under gevent and prints one line per call: `done` or `refused`, its seconds, and
the state of the circuit breaker. Started by tests/e2e/test_circuit_breakers.py.
"""

from app.clients.gevent_setup import patch_all, set_postgres_timeout_budget

patch_all()

import sys
import time

import gevent
from sqlalchemy import text

from app.bootstrap import WorkerServices, build_worker_services
from app.clients import circuit_breaker, postgres
from app.clients import redis as redis_store
from app.clients.request_deadline import RequestPostgresTimeoutBudget
from app.domain.errors import Unavailable
from app.messaging.records import ProducerRecord
from app.messaging.topics import create_missing_topics
from app.settings import load_settings

TEST_TOPIC = "breaker-watch"


def call_service(worker_services: WorkerServices, service_name: str) -> None:
    if service_name == "redis":
        with redis_store.translate_errors("ping"):
            worker_services.services.redis.ping()
    elif service_name == "kafka":
        worker_services.publisher.publish([ProducerRecord(TEST_TOPIC, "key", b"value")])
    else:
        with postgres.translate_errors("select 1"), worker_services.services.engine.connect() as conn:
            conn.execute(text("select 1"))


def main(service_name: str) -> None:
    set_postgres_timeout_budget(
        RequestPostgresTimeoutBudget()
    )  # the time-outs of the web process; a worker waits up to 40 s
    settings = load_settings()
    worker_services = build_worker_services(settings, "test")
    if service_name == "kafka":
        create_missing_topics(settings.service_urls.kafka_connection, {TEST_TOPIC: 1}, 1, 3_600_000)
    breaker = next(candidate for candidate in circuit_breaker.ALL_BREAKERS if candidate.name == service_name)
    while True:
        started_at, outcome = time.monotonic(), "done"
        try:
            call_service(worker_services, service_name)
        except Unavailable:
            outcome = "refused"
        sys.stdout.write(f"{outcome} {time.monotonic() - started_at:.3f} {breaker.state}\n")
        sys.stdout.flush()
        gevent.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
