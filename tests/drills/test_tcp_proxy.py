"""The TCP proxy: each fault affects the connections of its route and no others."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from drills.tcp_proxy_client import TcpProxyProcess
from harness.network import free_port

TIMEOUT_SECONDS = 10.0


class EchoServer:
    """Echoes every chunk, and sends b"bye" when the client has closed its direction."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.received_chunks: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, client_socket: socket.socket) -> None:
        try:
            while chunk := client_socket.recv(65_536):
                self.received_chunks.append(chunk)
                client_socket.sendall(chunk)
            client_socket.sendall(b"bye")
        except OSError:
            pass
        client_socket.close()


@pytest.fixture(scope="module")
def echo_server() -> Iterator[EchoServer]:
    server = EchoServer()
    yield server
    server.server.close()


@pytest.fixture(scope="module")
def shared_proxy(echo_server: EchoServer) -> Iterator[TcpProxyProcess]:
    proxy = TcpProxyProcess(
        {"echo": (free_port(), echo_server.port), "other": (free_port(), echo_server.port)}
    )
    yield proxy
    proxy.close()


@pytest.fixture
def tcp_proxy(shared_proxy: TcpProxyProcess) -> TcpProxyProcess:
    shared_proxy.clear_toxics()
    return shared_proxy


@pytest.fixture
def client_socket(tcp_proxy: TcpProxyProcess) -> Iterator[socket.socket]:
    with connect(tcp_proxy) as connection:
        yield connection


def connect(tcp_proxy: TcpProxyProcess, route: str = "echo") -> socket.socket:
    return socket.create_connection(("127.0.0.1", tcp_proxy.ports[route]), timeout=TIMEOUT_SECONDS)


def send_and_receive(client_socket: socket.socket, data: bytes) -> bytes:
    client_socket.sendall(data)
    received = b""
    while len(received) < len(data):
        chunk = client_socket.recv(65_536)
        if not chunk:
            break
        received += chunk
    return received


def test_proxy_without_toxic_passes_everything(client_socket: socket.socket) -> None:
    data = b"x" * 300_000
    assert send_and_receive(client_socket, data) == data


def test_proxy_delays_data(tcp_proxy: TcpProxyProcess, client_socket: socket.socket) -> None:
    tcp_proxy.configure("echo", delay_seconds=0.2)
    started_at = time.monotonic()
    assert send_and_receive(client_socket, b"slow") == b"slow"
    assert time.monotonic() - started_at >= 0.35  # both directions


def test_toxic_of_one_route_does_not_affect_another(tcp_proxy: TcpProxyProcess) -> None:
    tcp_proxy.configure("echo", stalled_connection_share=1.0)
    with connect(tcp_proxy, "other") as connection:
        assert send_and_receive(connection, b"data") == b"data"


def test_dropped_data_arrives_after_the_toxic_is_removed(
    tcp_proxy: TcpProxyProcess, client_socket: socket.socket
) -> None:
    tcp_proxy.configure("echo", held_directions=["down"])
    client_socket.sendall(b"later")
    client_socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client_socket.recv(10)
    tcp_proxy.clear_toxics("echo")
    client_socket.settimeout(TIMEOUT_SECONDS)
    assert client_socket.recv(10) == b"later"


def test_lost_response_resets_the_connection_after_the_request(
    tcp_proxy: TcpProxyProcess, client_socket: socket.socket, echo_server: EchoServer
) -> None:
    tcp_proxy.configure("echo", responses_to_drop=1)
    client_socket.sendall(b"taken effect")
    with pytest.raises(ConnectionResetError):
        client_socket.recv(10)
    assert echo_server.received_chunks[-1] == b"taken effect"
    with connect(tcp_proxy) as new_connection:
        assert send_and_receive(new_connection, b"again") == b"again"


def test_reset_ends_open_connections(tcp_proxy: TcpProxyProcess, client_socket: socket.socket) -> None:
    assert send_and_receive(client_socket, b"open") == b"open"
    tcp_proxy.reset_connections("echo")
    with pytest.raises(ConnectionResetError):
        client_socket.recv(10)


def test_half_closed_connection_still_carries_the_other_direction(
    tcp_proxy: TcpProxyProcess, client_socket: socket.socket
) -> None:
    assert send_and_receive(client_socket, b"open") == b"open"
    tcp_proxy.half_close("echo", "up")  # the echo server then sends its last chunk
    assert client_socket.recv(10) == b"bye"


def test_proxy_limits_the_bandwidth(tcp_proxy: TcpProxyProcess, client_socket: socket.socket) -> None:
    tcp_proxy.configure("echo", bytes_per_second=2_000, chunk_bytes=16)
    started_at = time.monotonic()
    assert send_and_receive(client_socket, b"x" * 600) == b"x" * 600
    assert time.monotonic() - started_at >= 0.25


def test_a_stalled_connection_is_accepted_and_carries_nothing(tcp_proxy: TcpProxyProcess) -> None:
    tcp_proxy.configure("echo", stalled_connection_share=1.0)
    with connect(tcp_proxy) as connection:
        connection.sendall(b"data")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(10)
