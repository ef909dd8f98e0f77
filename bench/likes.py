"""S1: the like request, against a bare endpoint, the obvious way, and a row per like.

64 keep-alive connections, each alternating PUT and DELETE so that every request changes something.
No worker runs: what a like costs the web process is measured, not what the workers take.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import redis
from sqlalchemy import text

from bench.figures import Figure, Goal, Rounds, Slice, alternate, ratio
from bench.load import Client, request
from bench.people import people, posts, token, warm
from bench.stage import SECRET, Running, Stage

CONNECTIONS = 64
PEOPLE = 512
POSTS = 200
COUNTED = 500
LIKE, HOT, BARE, OBVIOUS, INSERT, INSERT_HOT = (
    "like, 200 posts",
    "like, one hot post",
    "bare",
    "obvious: jwt-extended, redis-py, Lua",
    "INSERT + UPDATE + commit, 200 posts",
    "INSERT + UPDATE + commit, hot post",
)


@dataclass(frozen=True, slots=True)
class Contest:
    """One contestant: a server and the requests that it is sent."""

    client: Client
    name: str
    server: Running
    before: Callable[[], object]

    def run(self, seconds: float, least: int = 0) -> Slice:
        self.before()
        spent = self.server.cpu_seconds()
        told = self.client.run(self.name, self.server.port, seconds, least)
        spent = self.server.cpu_seconds() - spent
        return Slice(
            done=told["done"],
            seconds=told["seconds"],
            cpu_seconds=spent * told["done"] / told["served"],
            latencies_ms=tuple(told["latencies_ms"]),
        )


def figure(stage: Stage, rounds: int, seconds: float) -> Figure:
    web = stage.web("app.wsgi:app")
    others = {
        name: stage.web("bench.baselines:app", {"BENCH_APP": name})
        for name in ("bare", "obvious", "insert")
    }
    servers = {
        LIKE: web,
        HOT: web,
        BARE: others["bare"],
        OBVIOUS: others["obvious"],
        INSERT: others["insert"],
        INSERT_HOT: others["insert"],
    }
    ids = people(stage.parts.parts.engine, PEOPLE)
    tokens = [token(one, SECRET) for one in ids]
    client = Client()
    try:
        contests = [_contest(stage, client, name, servers[name], tokens) for name in servers]
        for one in contests:
            # Every token seen, all connections of the pools open.
            one.run(seconds, least=2 * PEOPLE // CONNECTIONS)
        measured = alternate({one.name: _turn(one, seconds) for one in contests}, rounds)
    finally:
        client.close()
    made = Figure("S1", "like request, 64 connections", "requests/s", measured, BARE)
    made.goals = _goals(measured)
    made.notes = [
        "All servers: one gunicorn worker with gunicorn.conf.py, same URL and headers. "
        "CPU: the server process, per request.",
        "p99 at a closed loop of 64 is queueing: 64 / rate is the least any server could show.",
        "Every token was seen before: its signature is checked once in its life.",
    ]
    _count(made, stage, web, tokens[0])
    stage.stop()
    return made


def _contest(
    stage: Stage, client: Client, name: str, server: Running, tokens: Sequence[str]
) -> Contest:
    """With posts of its own: two contestants on one post would undo each other's likes."""
    parts = stage.parts.parts
    [owner] = people(parts.engine, 1)
    made = posts(parts.engine, owner, 1 if name in (HOT, INSERT_HOT) else POSTS)
    warm(parts.memberships, owner, made)
    client.prepare(name, lanes(tokens, made, CONNECTIONS))
    shards = [f"ingress:{shard}" for shard in parts.ingress.shards]
    # No bridge runs here; what it would have moved long ago must not fill the memory.
    return Contest(client, name, server, lambda: parts.redis.unlink(*shards))


def lanes(tokens: Sequence[str], post_ids: Sequence[str], count: int) -> list[list[bytes]]:
    """The requests of each connection: everybody likes four posts, and takes each like back."""
    made: list[list[bytes]] = [[] for _ in range(count)]
    for step in range(min(4, len(post_ids))):
        for place, one in enumerate(tokens):
            path = f"/api/posts/{post_ids[(place * 7 + step * 53) % len(post_ids)]}/like"
            made[place % count] += [request("PUT", path, one), request("DELETE", path, one)]
    return made


def _turn(contest: Contest, seconds: float) -> Callable[[], Slice]:
    return lambda: contest.run(seconds)


def _goals(measured: Rounds) -> list[Goal]:
    def times(one: str, other: str) -> float:
        return ratio(measured[one], measured[other]).median

    return [
        Goal("like / bare endpoint", times(LIKE, BARE), 0.70),
        Goal("like / the obvious way", times(LIKE, OBVIOUS), 2.5),
        Goal("like / a row per like", times(LIKE, INSERT), 4.0),
        Goal("like / a row per like, hot post", times(HOT, INSERT_HOT), 10.0),
    ]


def _count(made: Figure, stage: Stage, web: Running, one: str) -> None:
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
