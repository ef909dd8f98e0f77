"""The load generator: clients over HTTP and sockets, in a process of its own with a lower priority.

Reads the file of drills/fixtures.py. Responds when its sockets have joined; its only command stops new
requests, and it ends with its stdin. Appends to the request log.
"""
# ruff: noqa: E402 - monkey-patching must precede the other imports

from gevent import monkey

monkey.patch_all()

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import gevent
from gevent.event import Event

from app.devtools.checker.request_log import ENTRY_TYPE_FIELD
from drills.balancer import LoadBalancer
from drills.fixtures import DrillFixtures, LoadProfile, read_load_config
from drills.http_client import LoggingHttpClient
from drills.socket_clients import SocketClient
from drills.user_behaviour import SimulatedClient
from harness.helper_process import send_response

TIMER_CHECK_INTERVAL_SECONDS = 0.05
SOCKETS_READY_TIMEOUT_SECONDS = 60.0


class RequestLogWriter:
    """Appends to the request log, unbuffered."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", buffering=1)
        self._last_operation_id = 0

    def next_operation_id(self) -> int:
        self._last_operation_id += 1
        return self._last_operation_id

    def __call__(self, entry_type: str, **fields: Any) -> None:
        self._file.write(json.dumps({ENTRY_TYPE_FIELD: entry_type} | fields) + "\n")


class LoadGenerator:
    def __init__(
        self,
        fixtures: DrillFixtures,
        load_profile: LoadProfile,
        ports: list[int],
        request_logger: RequestLogWriter,
    ) -> None:
        self.stop_requested = Event()
        self._request_logger = request_logger
        self._load_profile = load_profile
        self._load_balancer = LoadBalancer(ports)
        http_client = LoggingHttpClient(self._load_balancer, request_logger, load_profile.keep_alive)
        self.socket_clients = [
            SocketClient(user_id, fixtures.tokens_by_user_id[user_id], self._load_balancer, request_logger)
            for user_id in fixtures.socket_user_ids
        ]
        users_per_client = [
            fixtures.user_ids[client_index :: load_profile.client_count]
            for client_index in range(load_profile.client_count)
        ]
        self._simulated_clients = [
            SimulatedClient(
                client_user_ids,
                fixtures,
                load_profile,
                http_client,
                random.Random(f"{load_profile.seed}:{client_index}"),
            )
            for client_index, client_user_ids in enumerate(users_per_client)
        ]
        self._http_client, self._otp_user_ids = http_client, fixtures.otp_user_ids
        self._tokens_by_user_id = fixtures.tokens_by_user_id

    def start(self) -> "list[gevent.Greenlet[..., None]]":
        self._load_balancer.start()
        gevent.spawn(self._measure_timer_delay)
        for socket_client in self.socket_clients:
            gevent.spawn(socket_client.run)
        with gevent.Timeout(SOCKETS_READY_TIMEOUT_SECONDS, RuntimeError("not all sockets have joined")):
            for socket_client in self.socket_clients:
                socket_client.has_joined.wait()
        interval_seconds = self._load_profile.client_count / self._load_profile.requests_per_second
        client_greenlets = [
            gevent.spawn(self._run_at_interval, client.perform_random_request, interval_seconds)
            for client in self._simulated_clients
        ]
        otp_interval_seconds = len(self._otp_user_ids) / self._load_profile.otp_requests_per_second
        otp_greenlets = [
            gevent.spawn(self._run_at_interval, self._create_otp_request(user_id), otp_interval_seconds)
            for user_id in self._otp_user_ids
        ]
        return client_greenlets + otp_greenlets

    def _create_otp_request(self, user_id: str) -> Callable[[], object]:
        token = self._tokens_by_user_id[user_id]
        return lambda: self._http_client.send_once(
            "otp", user_id, user_id, "POST", "/api/auth/otp/request", token
        )

    def _run_at_interval(self, action: Callable[[], object], interval_seconds: float) -> None:
        """A late action does not shorten the interval before the next one."""
        gevent.sleep(random.uniform(0, interval_seconds))
        while not self.stop_requested.is_set():
            started_at = time.monotonic()
            action()
            self.stop_requested.wait(max(0.0, started_at + interval_seconds - time.monotonic()))

    def _measure_timer_delay(self) -> None:
        """Logs how late this process's timer is, which the product does not cause."""
        max_delay_seconds = 0.0
        while True:
            started_at = time.monotonic()
            gevent.sleep(TIMER_CHECK_INTERVAL_SECONDS)
            delay_seconds = time.monotonic() - started_at - TIMER_CHECK_INTERVAL_SECONDS
            if delay_seconds > max_delay_seconds + 0.01:
                max_delay_seconds = delay_seconds
                self._request_logger("timer_delay", seconds=delay_seconds)


def main(config_path: str) -> int:
    os.nice(5)
    fixtures, load_profile, ports, request_log_path = read_load_config(Path(config_path))
    load_generator = LoadGenerator(fixtures, load_profile, ports, RequestLogWriter(request_log_path))
    greenlets = load_generator.start()
    send_response({})
    # Reading stdin blocks the hub, so a thread of the pool does it.
    threadpool = gevent.get_hub().threadpool
    while threadpool.apply(sys.stdin.readline):  # the command to stop the requests; then the end of stdin
        load_generator.stop_requested.set()
        gevent.joinall(greenlets)
        send_response({})
    for socket_client in load_generator.socket_clients:
        socket_client.close()
    return 0


if __name__ == "__main__":
    exit_code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(exit_code)
