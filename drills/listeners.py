"""A listener: one person's socket, which comes back by itself and asks for what it missed.

In    drills/crowd.py
Out   the ledger: every frame, live or missed, and every join

It keeps its place as the page does (jinja/static/bell.js): the highest number it has seen.
"""

import json
import random
import time
from typing import Any

import gevent
from gevent.event import Event
from websocket import WebSocketException, create_connection

from drills.balancer import Balancer
from drills.clients import Noting

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 46.0
"""Without a ping for so long an Engine.IO client takes its server for dead (25 + 20 s, and one)."""
AGAIN_SECONDS = (0.2, 1.0)
OPEN, PING, PONG, CONNECT, EVENT = "0", "2", "3", "40", "42"


class Listener:
    def __init__(self, who: str, token: str, balancer: Balancer, notes: Noting) -> None:
        self.joined = Event()
        self._who = who
        self._token = token
        self._balancer = balancer
        self._notes = notes
        self._since: dict[str, Any] | None = None
        self._early: list[tuple[str, dict[str, Any]]] | None = None
        self._link: Any = None
        self._over = False

    def run(self) -> None:
        while not self._over:
            try:
                self._listen()
            except (OSError, WebSocketException, ValueError):
                gevent.sleep(random.uniform(*AGAIN_SECONDS))

    def close(self) -> None:
        self._over = True
        if self._link is not None:
            self._link.close(timeout=1)

    def _listen(self) -> None:
        port = self._balancer.ports[self._balancer.next()]
        self._early = []
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        self._link = create_connection(url, timeout=CONNECT_SECONDS)
        try:
            self._await(OPEN)
            self._link.send(CONNECT + json.dumps({"token": self._token}))
            self._await(CONNECT)
            self._ask_in()
            self._link.settimeout(SILENCE_SECONDS)
            while True:
                self._hear(str(self._link.recv()))
        finally:
            self._link.close(timeout=1)

    def _ask_in(self) -> None:
        asked: dict[str, Any] = {"userId": self._who}
        if self._since:
            asked["since"] = self._since
        self._link.send(EVENT + json.dumps(["join_room", asked]))

    def _hear(self, frame: str) -> None:
        if frame == "":
            raise OSError("closed")
        if frame == PING:
            self._link.send(PONG)
        elif frame.startswith(EVENT):
            name, *data = json.loads(frame[len(EVENT) :])
            if name == "joined":
                self._enter(data[0])
            elif data and isinstance(data[0], dict):
                if self._early is None:
                    self._note(name, data[0], live=True)
                else:
                    self._early.append((name, data[0]))

    def _enter(self, answer: dict[str, Any]) -> None:
        self._notes(
            "join", who=self._who, at=time.time(), epoch=answer["epoch"], seq=answer["seq"],
            recovered=answer["recovered"], first=self._since is None,
        )  # fmt: skip
        if answer["epoch"] is None:
            gevent.spawn_later(1.0, self._ask_in)  # the history was away; live frames come anyway
            return
        for one in answer["missed"]:
            self._note(one["event"], one["data"], live=False)
        if not answer["recovered"]:
            self._since = {"epoch": answer["epoch"], "seq": answer["seq"]}
        # What came before we knew our place: after what was missed, as the page does it.
        early, self._early = self._early or [], None
        for event, data in early:
            self._note(event, data, live=True)
        self.joined.set()

    def _note(self, event: str, data: dict[str, Any], live: bool) -> None:
        if event == "post_updated":
            return
        self._notes(
            "frame", who=self._who, at=time.time(), event=event, id=data.get("id"),
            seq=data.get("seq"), version=data.get("version"), type=data.get("type"), live=live,
            count=data.get("count"),
        )  # fmt: skip
        seq = data.get("seq")
        if self._since is not None and isinstance(seq, int):
            self._since["seq"] = max(self._since["seq"], seq)

    def _await(self, kind: str) -> None:
        frame = str(self._link.recv())
        if not frame.startswith(kind):
            raise OSError(f"the server said {frame[:200]!r} instead of {kind}")
