"""The proxy: what it is told to do to a connection happens to it, and to nothing else."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from bench.stage import free_port
from drills.proxy import Proxy

PATIENCE = 10.0


class Echo:
    """A service that answers each piece with the same piece."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.heard: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(link,), daemon=True).start()

    def _talk(self, link: socket.socket) -> None:
        try:
            while piece := link.recv(65_536):
                self.heard.append(piece)
                link.sendall(piece)
            link.sendall(b"bye")
        except OSError:
            pass
        link.close()


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.server.close()


@pytest.fixture(scope="module")
def _proxy(echo: Echo) -> Iterator[Proxy]:
    made = Proxy({"echo": (free_port(), echo.port), "other": (free_port(), echo.port)})
    yield made
    made.close()


@pytest.fixture
def proxy(_proxy: Proxy) -> Proxy:
    _proxy.heal()
    return _proxy


@pytest.fixture
def link(proxy: Proxy) -> Iterator[socket.socket]:
    with connected(proxy) as made:
        yield made


def connected(proxy: Proxy, lane: str = "echo") -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.ports[lane]), timeout=PATIENCE)


def say(link: socket.socket, words: bytes) -> bytes:
    link.sendall(words)
    heard = b""
    while len(heard) < len(words):
        piece = link.recv(65_536)
        if not piece:
            break
        heard += piece
    return heard


def test_everything_passes_until_it_is_told_otherwise(link: socket.socket) -> None:
    words = b"x" * 300_000
    assert say(link, words) == words


def test_delay(proxy: Proxy, link: socket.socket) -> None:
    proxy.set("echo", delay=0.2)
    began = time.monotonic()
    assert say(link, b"slow") == b"slow"
    assert time.monotonic() - began >= 0.35  # there and back


def test_one_lane_does_not_touch_the_other(proxy: Proxy) -> None:
    proxy.set("echo", refuse=True)
    with connected(proxy, "other") as link:
        assert say(link, b"well") == b"well"


def test_what_is_dropped_goes_on_when_the_lane_heals(proxy: Proxy, link: socket.socket) -> None:
    proxy.set("echo", drop=["down"])
    link.sendall(b"later")
    link.settimeout(0.3)
    with pytest.raises(TimeoutError):
        link.recv(10)
    proxy.heal("echo")
    link.settimeout(PATIENCE)
    assert link.recv(10) == b"later"


def test_a_lost_answer_is_a_reset_after_the_request_has_passed(
    proxy: Proxy, link: socket.socket, echo: Echo
) -> None:
    proxy.set("echo", cuts=1)
    link.sendall(b"taken effect")
    with pytest.raises(ConnectionResetError):
        link.recv(10)
    assert echo.heard[-1] == b"taken effect"
    with connected(proxy) as again:
        assert say(again, b"again") == b"again"


def test_a_connection_is_cut_after_so_many_bytes(proxy: Proxy, link: socket.socket) -> None:
    proxy.set("echo", cut_after=10)
    assert say(link, b"12345") == b"12345"
    with pytest.raises(ConnectionResetError):
        say(link, b"6789012")


def test_a_reset_ends_what_is_open(proxy: Proxy, link: socket.socket) -> None:
    assert say(link, b"open") == b"open"
    proxy.reset("echo")
    with pytest.raises(ConnectionResetError):
        link.recv(10)


def test_a_half_closed_connection_still_carries_the_other_way(
    proxy: Proxy, link: socket.socket
) -> None:
    assert say(link, b"open") == b"open"
    proxy.half_close("echo", "up")  # the service hears the end, and says good-bye
    assert link.recv(10) == b"bye"


def test_refusing(proxy: Proxy) -> None:
    def ask() -> None:
        with connected(proxy) as link:
            say(link, b"hello")
            link.recv(10)

    proxy.set("echo", refuse=True)
    with pytest.raises(ConnectionResetError):
        ask()


def test_a_trickle(proxy: Proxy, link: socket.socket) -> None:
    proxy.set("echo", bytes_per_second=2_000, piece=16)
    began = time.monotonic()
    assert say(link, b"x" * 600) == b"x" * 600
    assert time.monotonic() - began >= 0.25


def test_a_stalled_connection_is_accepted_and_carries_nothing(proxy: Proxy) -> None:
    proxy.set("echo", stalled=1.0)
    with connected(proxy) as link:
        link.sendall(b"anyone?")
        link.settimeout(0.3)
        with pytest.raises(TimeoutError):
            link.recv(10)
