"""Long polling: many packets in one POST, and refused bodies."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from harness.waiting import wait_until
from tests.support.cluster import WebCluster
from tests.support.http_client import HttpClient, HttpResponse, send_request

pytestmark = pytest.mark.service
SEPARATOR = "\x1e"
MAX_PACKETS = 320


@dataclass
class PollingClient:
    """A Socket.IO session over long polling."""

    user: HttpClient
    sid: str
    received_packets: list[str]

    @property
    def url(self) -> str:
        return f"{self.user.base_url}/socket.io/?EIO=4&transport=polling&sid={self.sid}"

    def post(self, *packets: str) -> HttpResponse:
        return self.post_raw(SEPARATOR.join(packets).encode())

    def post_raw(self, body: bytes, **headers: str) -> HttpResponse:
        all_headers = {"Content-Type": "text/plain;charset=UTF-8"} | headers
        return send_request("POST", self.url, body, all_headers)

    def poll(self) -> None:
        """Waits for packets and answers a ping."""
        response = send_request("GET", self.url)
        assert response.status == 200, response
        packets = bytes(response.body).decode().split(SEPARATOR)
        self.received_packets += packets
        if "2" in packets:
            assert self.post("3").status == 200

    def wait_for(self, event: str) -> Any:
        """The data of the next such event."""
        received_data: list[Any] = []

        def poll_and_search() -> bool:
            self.poll()
            prefix = f'42["{event}"'
            received_data.extend(
                json.loads(packet[2:])[1] for packet in self.received_packets if packet.startswith(prefix)
            )
            return bool(received_data)

        wait_until(poll_and_search, event, 60)
        return received_data[-1]

    def poll_until_connected(self) -> bool:
        self.poll()
        return any(packet.startswith("40") for packet in self.received_packets)


def connect_by_polling(user: HttpClient) -> PollingClient:
    """Connected, not joined."""
    response = send_request("GET", f"{user.base_url}/socket.io/?EIO=4&transport=polling")
    opened = json.loads(bytes(response.body).decode()[1:])
    poller = PollingClient(user, opened["sid"], [])
    assert poller.post("40" + json.dumps({"token": user.token})).status == 200
    wait_until(poller.poll_until_connected, "the connection", 60)
    return poller


def event_packet(event: str, data: object) -> str:
    return "42" + json.dumps([event, data])


def join_packet(user: HttpClient) -> str:
    return event_packet("join_room", {"userId": user.id})


def ack_packet(number: int) -> str:
    row = f"00000000-0000-7000-8000-{number:012d}"
    return event_packet("notification_ack", {"notificationId": row, "version": 1})


@pytest.fixture
def alice(cluster: WebCluster) -> HttpClient:
    [alice] = cluster.register_clients("Alice")
    return alice.at_server(cluster.web_processes[0].base_url)


@pytest.fixture
def polling_client(alice: HttpClient) -> PollingClient:
    return connect_by_polling(alice)


def count_tracebacks(cluster: WebCluster) -> int:
    return cluster.web_processes[0].log_path.read_text(errors="replace").count("Traceback")


def test_polling_body_with_the_maximum_number_of_acks_is_accepted(
    alice: HttpClient, polling_client: PollingClient, cluster: WebCluster
) -> None:
    before = count_tracebacks(cluster)

    response = polling_client.post(
        *(ack_packet(number) for number in range(MAX_PACKETS - 1)), join_packet(alice)
    )

    assert response.status == 200
    assert polling_client.wait_for("joined")["userId"] == alice.id
    assert count_tracebacks(cluster) == before


REFUSED_BODIES = [
    pytest.param(SEPARATOR.join(map(ack_packet, range(MAX_PACKETS + 1))).encode(), 400, id="too many"),
    pytest.param(b"4" + b"x" * 70_000, 413, id="too long"),
    pytest.param(b"\xff\xfe", 400, id="no UTF-8"),
    pytest.param(b"x", 400, id="no type"),
    pytest.param(b"9", 400, id="an unknown type"),
    pytest.param(b"2", 400, id="a type that servers send"),
    pytest.param(ack_packet(1).encode() + b"\x1e", 400, id="an empty packet"),
    pytest.param(b"d=", 400, id="JSONP without data"),
    pytest.param(b"bA", 400, id="broken base64"),
    pytest.param(b"4" + b"[" * 50_000, 400, id="nested too deep"),
]


@pytest.mark.parametrize(("body", "status"), REFUSED_BODIES)
def test_refused_polling_body_gets_an_error_and_the_session_continues(
    alice: HttpClient, polling_client: PollingClient, cluster: WebCluster, body: bytes, status: int
) -> None:
    before = count_tracebacks(cluster)

    response = polling_client.post_raw(join_packet(alice).encode() + SEPARATOR.encode() + body)

    assert (response.status, response.body["success"]) == (status, False), response
    assert response.body["error"]
    assert response.body["code"]
    assert not any("joined" in packet for packet in polling_client.received_packets)
    assert polling_client.post(join_packet(alice)).status == 200
    assert polling_client.wait_for("joined")["userId"] == alice.id
    assert count_tracebacks(cluster) == before


def test_chunked_polling_body_is_accepted(alice: HttpClient, polling_client: PollingClient) -> None:
    response = polling_client.post_raw(join_packet(alice).encode(), **{"Transfer-Encoding": "chunked"})

    assert response.status == 200
    assert polling_client.wait_for("joined")["userId"] == alice.id


INVALID_PACKETS = [
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


@pytest.mark.parametrize("packet", INVALID_PACKETS)
def test_websocket_that_sends_an_invalid_packet_is_closed(
    alice: HttpClient, cluster: WebCluster, packet: str
) -> None:
    before = count_tracebacks(cluster)
    tab = alice.open_tab()

    assert tab._websocket is not None
    tab._websocket.send(packet)

    wait_until(lambda: tab.is_closed, "the end of the connection", 30)
    assert count_tracebacks(cluster) == before


@pytest.mark.parametrize("packet", INVALID_PACKETS[3:])
def test_invalid_packet_in_a_polling_post_is_refused(
    alice: HttpClient, polling_client: PollingClient, packet: str
) -> None:
    assert polling_client.post(packet).status == 400
    assert polling_client.post(join_packet(alice)).status == 200
    assert polling_client.wait_for("joined")["userId"] == alice.id
