"""Users and posts that a drill adds beside its fixtures, and how they are removed before the final checks.

The final checks read every membership and notification; the drills that use this check their own.
"""

import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import orjson
from sqlalchemy import Engine, text

from app.devtools.seed_audience import EMAIL_DOMAIN
from drills.drill import Scenario

REQUEST_TIMEOUT_SECONDS = 30.0
MAX_REDIS_COMMAND_SECONDS, MAX_REDIS_COMMAND_SECONDS_ON_BUSY_MACHINE = 0.01, 0.05
LIGHT_LOAD_PROFILE = (("requests_per_second", 20.0), ("otp_requests_per_second", 0.5), ("client_count", 8))
"""The load of the other drills takes two processors by itself."""


def check_slowest_redis_command(scenario: Scenario) -> None:
    """Adds a violation if a command since SLOWLOG RESET was too slow. Redis measures the time in which
    its process waited for a processor too, even of an HINCRBY: the longest delay of a timer of the load
    generator is added to the limit."""
    entries = scenario.cluster.redis.slowlog_get(128)
    slowest = max(entries, key=lambda entry: int(entry["duration"]), default=None)
    if slowest is None:
        return
    seconds = slowest["duration"] / 1e6
    command = str(slowest["command"])[:60]
    scenario.measurements["slowest Redis command, ms"] = f"{seconds * 1e3:.1f} ({command})"
    limit = min(
        MAX_REDIS_COMMAND_SECONDS + scenario.read_request_log().max_timer_delay_seconds,
        MAX_REDIS_COMMAND_SECONDS_ON_BUSY_MACHINE,
    )
    if seconds > limit:
        scenario.violations.append(f"a Redis command took {seconds:.3f} s, more than {limit:.3f}: {command}")


def send_json(
    connection: HTTPConnection, method: str, path: str, token: str, body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """The status and the body of the answer."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, path, orjson.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    return response.status, orjson.loads(response.read() or b"{}")


def run_in_threads(actions: Iterator[Callable[[HTTPConnection], None]], port: int, thread_count: int) -> None:
    """Runs the actions, each thread on a connection of its own. Raises the first error."""
    lock = threading.Lock()
    errors: list[Exception] = []

    def run() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_SECONDS)
        try:
            while not errors:
                with lock:
                    action = next(actions, None)
                if action is None:
                    return
                action(connection)
        except Exception as exc:
            errors.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(thread_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def remove_audience(engine: Engine) -> None:
    """Deletes the users of app/devtools/seed_audience.py and all that refers to them. Triggers and foreign
    keys are off: deleting a million users row by row would take longer than the drill."""
    with engine.begin() as conn:
        conn.execute(text("set local session_replication_role = replica"))
        conn.execute(
            text(
                "create temp table audience on commit drop as select id from users where email like :pattern"
            ),
            {"pattern": f"%{EMAIL_DOMAIN}"},
        )
        conn.execute(text("create unique index on audience (id)"))
        conn.execute(text("analyze audience"))
        conn.execute(_DELETE_ACTORS)
        for table, column in _ROWS_OF_USERS:
            conn.execute(text(f"delete from {table} t using audience a where t.{column} = a.id"))  # noqa: S608
        conn.execute(text("delete from users u using audience a where u.id = a.id"))


def delete_posts(engine: Engine, owner_id: str) -> None:
    """Deletes the posts of a user whose likes were checked, and the notifications about them."""
    with engine.begin() as conn:
        for table in ("outbox", "notifications", "posts"):
            conn.execute(text(f"delete from {table} where user_id = :id"), {"id": owner_id})  # noqa: S608


_DELETE_ACTORS = text(
    "delete from notification_actors t using notifications n, audience a "
    "where n.id = t.notification_id and n.user_id = a.id"
)
_ROWS_OF_USERS = (
    ("notification_actors", "actor_id"),
    ("notifications", "user_id"),
    ("notifications", "actor_id"),
    ("outbox", "user_id"),
    ("likes", "user_id"),
    ("follows", "follower_id"),
    ("bell_subscriptions", "subscriber_id"),
    ("posts", "user_id"),
    ("fan_outs", "actor_id"),
)
