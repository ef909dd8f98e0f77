"""A web process is asked to stop under load: what it accepted is answered, its sockets connect
elsewhere, and it is out in time."""

import http.client
import signal
import threading
import time
from dataclasses import dataclass, field

import pytest

from tests.outside import Person
from tests.services.crew import Member, until
from tests.services.town import Town

pytestmark = [pytest.mark.service, pytest.mark.slow]
STOP_SECONDS = 10.0
CLIENTS = 8


@dataclass
class Client(threading.Thread):
    """Likes and unlikes over one kept connection, until nobody listens any more."""

    person: Person
    post: str
    web: Member
    answered: int = 0
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        kept = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=STOP_SECONDS)
        fresh = True
        while True:
            method = ("PUT", "DELETE")[self.answered % 2]
            try:
                kept.request(
                    method,
                    f"/api/posts/{self.post}/like",
                    headers={"Authorization": f"Bearer {self.person.token}"},
                )
                answer = kept.getresponse()
                answer.read()
            except ConnectionRefusedError:
                return  # it is gone, as it should be
            except (OSError, http.client.HTTPException) as fault:
                # A kept connection may end between two requests: a client repeats this one.
                if fresh and not isinstance(fault, ConnectionResetError | BrokenPipeError):
                    self.faults.append(f"{method}: {fault!r}")
                kept.close()
                fresh = True
                continue
            self.answered += 1
            fresh = answer.getheader("Connection", "").lower() == "close"
            if answer.status != 200:
                self.faults.append(f"{method}: {answer.status}")


@dataclass
class Visitor(threading.Thread):
    """Asks one thing over a connection of its own, again and again: who was let in is answered."""

    web: Member
    answered: int = 0
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while True:
            link = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=STOP_SECONDS)
            try:
                link.connect()
            except OSError:
                return  # nobody listens any more: not let in
            try:
                link.request("GET", "/health")
                assert link.getresponse().read()
                self.answered += 1
            except (OSError, http.client.HTTPException) as fault:
                self.faults.append(repr(fault))
            finally:
                link.close()


def test_who_was_let_in_is_answered_up_to_the_last_moment(town: Town) -> None:
    web = town.stage.crew.web(RATE_LIMIT_ENABLED="false")
    slow = http.client.HTTPConnection("127.0.0.1", web.port, timeout=STOP_SECONDS)
    visitors = [Visitor(web) for _ in range(4 * CLIENTS)]
    for one in visitors:
        one.start()
    until(lambda: all(one.answered > 2 for one in visitors), 60, "some load")

    slow.connect()
    web.process.send_signal(signal.SIGTERM)
    until(lambda: not web.answers(), STOP_SECONDS, "the door is closed")
    slow.request("GET", "/health")
    answer = slow.getresponse()
    for one in visitors:
        one.join(STOP_SECONDS)

    assert answer.getheader("Connection") == "close"
    assert web.process.wait(timeout=STOP_SECONDS) == 0
    assert [fault for one in visitors for fault in one.faults] == []


def test_a_web_process_stops_under_load_and_cuts_off_nobody(town: Town) -> None:
    owner, *fans = town.people("Alice", *(f"Fan {n}" for n in range(CLIENTS)))
    post = owner.posts("Hello")
    web = town.stage.crew.web(RATE_LIMIT_ENABLED="false")
    screen = owner.at(web.address).screen()
    idle = http.client.HTTPConnection("127.0.0.1", web.port, timeout=STOP_SECONDS)
    idle.request("GET", "/health")
    idle.getresponse().read()
    clients = [Client(one, post, web) for one in fans]
    for one in clients:
        one.start()
    until(lambda: all(one.answered > 5 for one in clients), 60, "some load")

    began = time.monotonic()
    web.process.send_signal(signal.SIGTERM)
    code = web.process.wait(timeout=3 * STOP_SECONDS)
    taken = time.monotonic() - began

    for one in clients:
        one.join(STOP_SECONDS)
    assert [fault for one in clients for fault in one.faults] == []
    assert (code, taken < STOP_SECONDS) == (0, True), f"{taken:.1f} s\n{web.said()}"
    # Its sockets were told: the same tab joins at another process.
    screen.drop()
    screen.base = town.webs[0].address
    assert screen.join()["userId"] == owner.id
    assert "graceful timeout" not in web.log.read_text()
    town.stage.settles()
