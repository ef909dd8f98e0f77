"""S1: the like request, against a bare endpoint, the obvious way, and a row per like.

64 keep-alive connections, each alternating PUT and DELETE so that every request changes something.
No worker runs: what a like costs the web process is measured, not what the workers take.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.calls import count_calls
from bench.figures import Figure, Goal, Rounds, Slice, alternate, ratio
from bench.load import Client, request
from bench.people import people, posts, token, warm
from bench.stage import SECRET, Running, Stage

CONNECTIONS = 64
PEOPLE = 512
POSTS = 200
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
    count_calls(made, stage, web, tokens[0])
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
