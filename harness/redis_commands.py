"""Counts the commands that Redis receives."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import redis

END_MARKER = "end of the count"


def count_redis_commands(redis_url: str, action: Callable[[], object]) -> Counter[str]:
    """By name: the commands of all clients during the action, without those called by scripts."""
    command_counts: Counter[str] = Counter()
    # A long timeout: MONITOR sends nothing while no command arrives.
    connection = redis.Redis.from_url(redis_url, decode_responses=True, socket_timeout=60)
    control_client = redis.Redis.from_url(redis_url)
    control_client.ping()  # connects now, so that its connection is not counted
    monitor_started = threading.Event()

    def listen() -> None:
        with connection.monitor() as monitor:  # type: ignore[no-untyped-call]
            monitor_started.set()
            while True:
                command: dict[str, Any] = monitor.next_command()
                if END_MARKER in command["command"]:
                    return
                if command["client_type"] != "lua":
                    command_counts[command["command"].split(" ", 1)[0].upper()] += 1

    listener_thread = threading.Thread(target=listen)
    listener_thread.start()
    monitor_started.wait(5)
    try:
        action()
    finally:
        control_client.echo(END_MARKER)
        listener_thread.join(10)
        control_client.close()
        connection.close()
    return command_counts
