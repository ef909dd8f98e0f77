"""The crowd: real clients over HTTP and sockets, in a niced process of its own.

In    a file that drills/cast.py wrote; words on stdin: `rest` (no new requests), `bye`
Out   the ledger file; `ready`, `rested` on stdout
"""
# ruff: noqa: E402 - the patch comes first

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

from drills import cast as casting
from drills.balancer import Balancer
from drills.cast import Behaviour, Cast
from drills.clients import Caller
from drills.doings import Person
from drills.listeners import Listener

TICK_SECONDS = 0.05
READY_SECONDS = 60.0


class Notes:
    """The ledger file. A line is written before what it says happens, and at once."""

    def __init__(self, path: Path) -> None:
        self._out: TextIO = path.open("a", buffering=1)
        self._op = 0

    def next_op(self) -> int:
        self._op += 1
        return self._op

    def __call__(self, what: str, **said: Any) -> None:
        self._out.write(json.dumps({"e": what} | said) + "\n")


class Crowd:
    def __init__(self, cast: Cast, behaviour: Behaviour, ports: list[int], notes: Notes) -> None:
        self.resting = Event()
        self._notes = notes
        self._behaviour = behaviour
        self._balancer = Balancer(ports)
        caller = Caller(self._balancer, notes, behaviour.keep_alive)
        self.listeners = [
            Listener(who, cast.tokens[who], self._balancer, notes) for who in cast.listeners
        ]
        share = [cast.people[n :: behaviour.clients] for n in range(behaviour.clients)]
        self._clients = [
            Person(own, cast, behaviour, caller, random.Random(f"{behaviour.seed}:{n}"))
            for n, own in enumerate(share)
        ]
        self._caller, self._critical = caller, cast.critical
        self._tokens = cast.tokens

    def start(self) -> "list[gevent.Greenlet[..., None]]":
        self._balancer.start()
        gevent.spawn(self._tick)
        for listener in self.listeners:
            gevent.spawn(listener.run)
        with gevent.Timeout(READY_SECONDS, RuntimeError("not all sockets were let in")):
            for listener in self.listeners:
                listener.joined.wait()
        every = self._behaviour.clients / self._behaviour.rate
        acting = [gevent.spawn(self._paced, one.act, every) for one in self._clients]
        pause = len(self._critical) / self._behaviour.critical_rate
        asking = [gevent.spawn(self._paced, self._asks(one), pause) for one in self._critical]
        return acting + asking

    def _asks(self, who: str) -> Callable[[], object]:
        token = self._tokens[who]
        return lambda: self._caller.once("otp", who, who, "POST", "/api/auth/otp/request", token)

    def _paced(self, act: Callable[[], object], every: float) -> None:
        """Each acts in its own rhythm; who waited for an answer does not hurry afterwards."""
        gevent.sleep(random.uniform(0, every))
        while not self.resting.is_set():
            began = time.monotonic()
            act()
            self.resting.wait(max(0.0, began + every - time.monotonic()))

    def _tick(self) -> None:
        """How late our own timer is: a request cannot be blamed for that."""
        worst = 0.0
        while True:
            began = time.monotonic()
            gevent.sleep(TICK_SECONDS)
            late = time.monotonic() - began - TICK_SECONDS
            if late > worst + 0.01:
                worst = late
                self._notes("late", seconds=late)


def main(path: str) -> int:
    os.nice(5)
    cast, behaviour, ports, ledger = casting.read(Path(path))
    crowd = Crowd(cast, behaviour, ports, Notes(ledger))
    acting = crowd.start()
    _say("ready")
    # Reading stdin would stop the hub: a thread of the pool waits for the words.
    ear = gevent.get_hub().threadpool
    while ear.apply(sys.stdin.readline).strip() == "rest":
        crowd.resting.set()
        gevent.joinall(acting)
        _say("rested")
    for listener in crowd.listeners:
        listener.close()
    return 0


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(code)
