"""Command line: python -m workers bridge | aggregator | flusher | deliverer | all"""

from app.clients.gevent_setup import patch_all

patch_all()

import gc
import logging
import os
import sys

from app import log_config
from app.bootstrap import build_worker_services
from app.clients.redis_server_check import exit_if_too_old
from app.domain.worker_loops import WORKER_PROCESSES, loops_of_process
from app.settings import load_settings
from workers.builders import build_worker
from workers.runner import Worker, run_workers
from workers.watchdog import EventLoopWatchdog


def main(arguments: list[str]) -> int:
    names = WORKER_PROCESSES if arguments == ["all"] else arguments
    if not names or any(name not in WORKER_PROCESSES for name in names):
        sys.stderr.write(f"usage: python -m workers {' | '.join(WORKER_PROCESSES)} | all\n")
        return 2
    settings = load_settings()
    log_config.configure_logging(settings.log_level, settings.log_format)
    log_config.withhold_values(settings.service_urls.passwords())
    log_config.redact_greenlet_tracebacks()
    exit_if_too_old(settings.service_urls.redis_url)
    workers: list[Worker] = []
    for name in names:
        worker_services = build_worker_services(settings, name)
        workers += [build_worker(loop, worker_services) for loop in loops_of_process(name)]
    EventLoopWatchdog().start()
    gc.collect()
    gc.freeze()  # else each full collection goes through 126,000 start-up objects: 0.1 s (measured)
    return run_workers(workers)


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    # Everything is closed. A normal interpreter exit destroys the libraries' greenlets one by one and has
    # been seen to hang in one of kafka-python.
    logging.shutdown()
    os._exit(exit_code)
