"""Whoever reads too slowly, says too much or sends a byte now and then is sent away; the others
hear everything, and the process grows no larger."""

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest
import websocket

from app.streams.push import SIGNED_IN, Push
from tests.outside import Person, Screen
from tests.services.crew import until
from tests.services.town import Town

pytestmark = [pytest.mark.service, pytest.mark.slow]
GONE_SECONDS = 60.0
BIG, MANY, PACE = "x" * 60_000, 1_000, 25
GROWTH_BYTES = 40_000_000
"""Of 60 MB that were sent to somebody who reads nothing."""


def let_in(person: Person) -> websocket.WebSocket:
    """A socket of theirs that from then on does only what it is told to."""
    url = person.base.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    wire = websocket.create_connection(
        url, timeout=20, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 8192),)
    )
    wire.recv()
    wire.send("40" + json.dumps({"token": person.token}))
    while not str(wire.recv()).startswith("40"):
        """Its namespace is open."""
    return wire


def ended(wire: websocket.WebSocket) -> bool:
    """Whether the other side has gone; what it said before is read and forgotten."""
    try:
        while wire.sock is not None and wire.sock.recv(1_000_000):
            """More of what it was sent."""
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def numbers(screen: Screen) -> list[int]:
    return [one["number"] for one in screen.of("post_updated") if "number" in one]


@pytest.fixture
def slow(town: Town) -> Iterator[websocket.WebSocket]:
    [ann] = town.people("Ann")
    wire = let_in(ann.at(town.webs[0].address))
    yield wire
    wire.shutdown()


def test_who_does_not_read_is_sent_away_and_costs_little(
    town: Town, slow: websocket.WebSocket
) -> None:
    [ben] = town.people("Ben")
    neighbour = ben.at(town.webs[0].address).screen()
    web = psutil.Process(town.webs[0].process.pid)
    push, before = Push(town.stage.crew.environment["REDIS_URL"]), web.memory_info().rss

    for number in range(MANY):
        push.emit("post_updated", {"number": number, "words": BIG}, SIGNED_IN)
        if number % PACE == PACE - 1:
            told = f"frame {number} at a neighbour who reads"
            until(lambda number=number: number in numbers(neighbour), GONE_SECONDS, told)

    assert web.memory_info().rss - before < GROWTH_BYTES
    slow.sock.settimeout(GONE_SECONDS)
    assert ended(slow)
    assert "reads too slowly" in town.webs[0].log.read_text()


def test_who_says_too_much_is_sent_away(town: Town, slow: websocket.WebSocket) -> None:
    [ben] = town.people("Ben")

    try:
        for _ in range(20_000):
            slow.send('42["notification_ack",{"notificationId":"x","version":1}]')
    except (OSError, websocket.WebSocketException):
        pass  # it was shut while we spoke

    slow.sock.settimeout(GONE_SECONDS)
    assert ended(slow)
    assert ben.at(town.webs[0].address).screen().joined
    assert "says too much" in town.webs[0].log.read_text()


def test_a_reader_that_is_a_little_slow_gets_every_byte(
    town: Town, slow: websocket.WebSocket
) -> None:
    """simple-websocket took a part that was sent for the whole of a frame."""
    push = Push(town.stage.crew.environment["REDIS_URL"])
    for number in range(30):
        push.emit("post_updated", {"number": number, "words": BIG}, SIGNED_IN)

    heard = []
    while not heard or heard[-1] != 29:
        said = str(slow.recv())
        time.sleep(0.01)
        if said.startswith("42"):
            data = json.loads(said[2:])[1]
            if "number" in data:
                heard.append(data["number"])
                assert data["words"] == BIG
        elif said == "2":
            slow.send("3")

    assert heard == list(range(30))


@pytest.mark.parametrize(
    ("begins", "answered"),
    [
        pytest.param(
            b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 500\r\n\r\n{",
            b"408",
            id="body",
        ),
        pytest.param(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"", id="head"),
    ],
)
def test_a_byte_now_and_then_is_not_waited_for(town: Town, begins: bytes, answered: bytes) -> None:
    there = urlsplit(town.webs[0].address)
    with socket.create_connection((there.hostname, there.port), timeout=1) as wire:
        wire.sendall(begins)
        began, said, open_ = time.monotonic(), b"", True
        while open_:
            assert time.monotonic() - began < GONE_SECONDS
            try:
                wire.sendall(b" ")
                received = wire.recv(10_000)
                said, open_ = said + received, bool(received)
            except TimeoutError:
                continue
            except OSError:
                open_ = False

    assert answered in said
