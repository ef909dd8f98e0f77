"""Clients without WebSocket: many packets in one POST, and bodies that are refused openly."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.outside import Answer, Person, call
from tests.services.crew import until
from tests.services.town import Town

pytestmark = pytest.mark.service
SEPARATOR = "\x1e"
MAX_PACKETS = 320


@dataclass
class Poller:
    """One tab that polls; `heard` has every packet it was sent."""

    person: Person
    sid: str
    heard: list[str]

    @property
    def url(self) -> str:
        return f"{self.person.base}/socket.io/?EIO=4&transport=polling&sid={self.sid}"

    def post(self, *packets: str) -> Answer:
        return self.post_raw(SEPARATOR.join(packets).encode())

    def post_raw(self, body: bytes, **headers: str) -> Answer:
        given = {"Content-Type": "text/plain;charset=UTF-8"} | headers
        return call("POST", self.url, body, given)

    def poll(self) -> None:
        """Waits for packets, and answers a ping."""
        answer = call("GET", self.url)
        assert answer.status == 200, answer
        packets = bytes(answer.body).decode().split(SEPARATOR)
        self.heard += packets
        if "2" in packets:
            assert self.post("3").status == 200

    def hears(self, event: str) -> Any:
        """The data of the next such event."""
        found: list[Any] = []

        def came() -> bool:
            self.poll()
            found.extend(
                json.loads(one[2:])[1] for one in self.heard if one.startswith(f'42["{event}"')
            )
            return bool(found)

        until(came, 60, event)
        return found[-1]


def polling(person: Person) -> Poller:
    """Let in, and not joined yet."""
    answer = call("GET", f"{person.base}/socket.io/?EIO=4&transport=polling")
    opened = json.loads(bytes(answer.body).decode()[1:])
    poller = Poller(person, opened["sid"], [])
    assert poller.post("40" + json.dumps({"token": person.token})).status == 200
    until(lambda: poller.poll() or any(one.startswith("40") for one in poller.heard), 60, "open")
    return poller


def said(event: str, data: object) -> str:
    return "42" + json.dumps([event, data])


def join(person: Person) -> str:
    return said("join_room", {"userId": person.id})


def ack(number: int) -> str:
    row = f"00000000-0000-7000-8000-{number:012d}"
    return said("notification_ack", {"notificationId": row, "version": 1})


@pytest.fixture
def alice(town: Town) -> Person:
    [alice] = town.people("Alice")
    return alice.at(town.webs[0].address)


@pytest.fixture
def poller(alice: Person) -> Poller:
    return polling(alice)


def tracebacks(town: Town) -> int:
    return town.webs[0].log.read_text(errors="replace").count("Traceback")


def test_as_many_packets_as_a_client_acknowledges_at_once_are_handled(
    alice: Person, poller: Poller, town: Town
) -> None:
    before = tracebacks(town)

    answer = poller.post(*(ack(number) for number in range(MAX_PACKETS - 1)), join(alice))

    assert answer.status == 200
    assert poller.hears("joined")["userId"] == alice.id
    assert tracebacks(town) == before


BODIES = [
    pytest.param(SEPARATOR.join(map(ack, range(MAX_PACKETS + 1))).encode(), 400, id="too many"),
    pytest.param(b"4" + b"x" * 70_000, 413, id="too long"),
    pytest.param(b"\xff\xfe", 400, id="no UTF-8"),
    pytest.param(b"x", 400, id="no type"),
    pytest.param(b"9", 400, id="an unknown type"),
    pytest.param(b"2", 400, id="a type that servers send"),
    pytest.param(ack(1).encode() + b"\x1e", 400, id="an empty packet"),
    pytest.param(b"d=", 400, id="JSONP without data"),
    pytest.param(b"bA", 400, id="broken base64"),
    pytest.param(b"4" + b"[" * 50_000, 400, id="nested too deep"),
]


@pytest.mark.parametrize(("body", "status"), BODIES)
def test_a_refused_body_says_so_and_the_session_goes_on(
    alice: Person, poller: Poller, town: Town, body: bytes, status: int
) -> None:
    before = tracebacks(town)

    answer = poller.post_raw(join(alice).encode() + SEPARATOR.encode() + body)

    assert (answer.status, answer.body["success"]) == (status, False), answer
    assert answer.body["error"]
    assert answer.body["code"]
    assert not any("joined" in one for one in poller.heard)
    assert poller.post(join(alice)).status == 200
    assert poller.hears("joined")["userId"] == alice.id
    assert tracebacks(town) == before


def test_packets_that_come_in_chunks_are_handled(alice: Person, poller: Poller) -> None:
    answer = poller.post_raw(join(alice).encode(), **{"Transfer-Encoding": "chunked"})

    assert answer.status == 200
    assert poller.hears("joined")["userId"] == alice.id


FRAMES = [
    pytest.param("", id="empty"),
    pytest.param("x", id="no type"),
    pytest.param("4" + "[" * 50_000, id="nested too deep"),
    pytest.param("4", id="no Socket.IO packet"),
    pytest.param("49", id="an unknown Socket.IO type"),
    pytest.param("44{}", id="a Socket.IO type that servers send"),
    pytest.param("42", id="an event without a name"),
    pytest.param("42[", id="an event that is cut"),
    pytest.param('42[["join_room"]]', id="an event whose name is no text"),
    pytest.param('42["join_room",1,2]', id="an event with two values"),
    pytest.param('451-["join_room",{"_placeholder":true,"num":0}]', id="a binary event"),
    pytest.param('42["connect"]', id="an event of the library: connect"),
    pytest.param('42["disconnect"]', id="an event of the library: disconnect"),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_websocket_that_sends_no_packet_of_ours_is_closed(
    alice: Person, town: Town, frame: str
) -> None:
    before = tracebacks(town)
    screen = alice.screen()

    assert screen._link is not None
    screen._link.send(frame)

    until(lambda: screen.closed, 30, "the end of the connection")
    assert tracebacks(town) == before


@pytest.mark.parametrize("frame", FRAMES[3:])
def test_a_packet_that_is_not_ours_is_refused_in_a_post_as_well(
    alice: Person, poller: Poller, frame: str
) -> None:
    assert poller.post(frame).status == 400
    assert poller.post(join(alice)).status == 200
    assert poller.hears("joined")["userId"] == alice.id
