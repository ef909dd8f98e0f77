"""Command line: python -m workers bridge | aggregator | flusher | deliverer | all"""

from app.clients.gevent_setup import patch_all

patch_all()

import logging
import os
import sys
from collections.abc import Callable

from app import log_config
from app.bootstrap import WorkerServices, build_worker_services
from app.clients.redis_server_check import exit_if_too_old
from app.domain.worker_loops import loops_of_process
from app.settings import load_settings
from workers.builders import (
    build_aggregator_workers,
    build_bridge_workers,
    build_deliverer_workers,
    build_flusher_workers,
)
from workers.runner import Worker, run_workers
from workers.watchdog import EventLoopWatchdog

BUILDERS: dict[str, Callable[[WorkerServices], list[Worker]]] = {
    "bridge": build_bridge_workers,
    "aggregator": build_aggregator_workers,
    "flusher": build_flusher_workers,
    "deliverer": build_deliverer_workers,
}


def build_workers_of_process(process_name: str, worker_services: WorkerServices) -> list[Worker]:
    """The loops of a process. They must be those of WORKER_LOOPS, which health checks rely on."""
    workers = BUILDERS[process_name](worker_services)
    if {worker.name for worker in workers} != {loop.name for loop in loops_of_process(process_name)}:
        raise RuntimeError(f"app/domain/worker_loops.py has other loops for {process_name}")
    return workers


def main(arguments: list[str]) -> int:
    names = list(BUILDERS) if arguments == ["all"] else arguments
    if not names or any(name not in BUILDERS for name in names):
        sys.stderr.write(f"usage: python -m workers {' | '.join(BUILDERS)} | all\n")
        return 2
    settings = load_settings()
    log_config.configure_logging(settings.log_level, settings.log_format)
    log_config.withhold_values(settings.service_urls.passwords())
    log_config.redact_greenlet_tracebacks()
    exit_if_too_old(settings.service_urls.redis_url)
    workers = [
        worker
        for name in names
        for worker in build_workers_of_process(name, build_worker_services(settings, name))
    ]
    EventLoopWatchdog().start()
    return run_workers(workers)


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    # Everything is closed. A normal interpreter exit destroys the libraries' greenlets one by one and has
    # been seen to hang in one of kafka-python.
    logging.shutdown()
    os._exit(exit_code)
