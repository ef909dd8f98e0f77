"""What a like asks of Redis and PostgreSQL, counted where they hear it.

In    a web process, warm, with no worker beside it
Out   facts for S1; a sentence per broken promise
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from typing import Any

import redis
from sqlalchemy import text

from bench.figures import Figure
from bench.people import people, posts, warm
from bench.stage import Running, Stage

COUNTED = 500


def count_calls(made: Figure, stage: Stage, web: Running, one: str) -> None:
    """What MONITOR and pg_stat_statements saw of some likes: one call each, no statement."""
    parts = stage.parts.parts
    [owner] = people(parts.engine, 1)
    [post] = posts(parts.engine, owner, 1)
    warm(parts.memberships, owner, [post])
    path = f"/api/posts/{post}/like"
    began = time.monotonic()
    with parts.engine.connect() as raw:
        sql = raw.execution_options(isolation_level="AUTOCOMMIT")
        sql.execute(text("create extension if not exists pg_stat_statements"))
        sql.execute(text("select pg_stat_statements_reset()"))
        seen = _monitored(stage, lambda: _send(web.port, path, one))
        statements = sql.execute(
            text(
                "select query, calls from pg_stat_statements where query not like '%pg_stat_state%'"
            )
        ).all()
    calls = seen.pop("EVALSHA", 0) + seen.pop("EVAL", 0)
    allowed = by_timers(time.monotonic() - began)
    asked = {str(row[0]): int(row[1]) for row in statements}
    due_to_likes = {query: times for query, times in asked.items() if times > allowed}
    made.facts["Redis round trips per like"] = calls / COUNTED
    made.facts["SQL statements per like"] = sum(due_to_likes.values()) / COUNTED
    made.facts[f"by timers during {COUNTED} likes"] = (
        f"{sum(seen.values())} Redis commands, "
        f"{sum(asked.values()) - sum(due_to_likes.values())} SQL statements"
    )
    made.broken += broken(calls, seen, asked, allowed)


def by_timers(seconds: float) -> float:
    """How often the web process may ask the same thing aside: twice a second. What rides on one
    like in twenty is far above it."""
    return 2 + 2 * seconds


def broken(
    calls: int, others: Mapping[str, int], statements: Mapping[str, int], allowed: float
) -> list[str]:
    """Sentences about promise S1: exactly one Redis round trip per like, and no SQL."""
    found = []
    if calls != COUNTED:
        found.append(f"{COUNTED} likes made {calls} script calls; exactly one each is due")
    if many := {word: times for word, times in others.items() if times > allowed}:
        found.append(f"likes make Redis commands beside their script: {many}")
    if many := {query[:80]: times for query, times in statements.items() if times > allowed}:
        found.append(f"likes make SQL statements: {many}")
    return found


def _send(port: int, path: str, one: str) -> None:
    link = HTTPConnection("127.0.0.1", port, timeout=10)
    for turn in range(COUNTED):
        verb = "DELETE" if turn % 2 else "PUT"
        link.request(verb, path, headers={"Authorization": f"Bearer {one}"})
        answer = link.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"a like was answered {answer.status}")
    link.close()


def _monitored(stage: Stage, act: Callable[[], None]) -> Counter[str]:
    """The commands that reached Redis meanwhile; those that a script made inside do not count."""
    seen: Counter[str] = Counter()
    # Patient, since a like that asks nothing of Redis leaves MONITOR without a word.
    connection = redis.Redis.from_url(stage.redis_url, decode_responses=True, socket_timeout=60)
    marker = stage.parts.parts.redis
    marker.ping()  # connected already, so that nothing of our own is counted
    listening, end = threading.Event(), "end of the count"

    def listen() -> None:
        with connection.monitor() as monitor:
            listening.set()
            while True:
                heard: dict[str, Any] = monitor.next_command()
                if end in heard["command"]:
                    return
                if heard["client_type"] != "lua":
                    seen[heard["command"].split(" ", 1)[0].upper()] += 1

    listener = threading.Thread(target=listen)
    listener.start()
    listening.wait(5)
    act()
    marker.echo(end)
    listener.join(10)
    connection.close()
    return seen
