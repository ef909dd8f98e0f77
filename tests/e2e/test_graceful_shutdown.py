"""A web process gets SIGTERM under load: accepted requests are answered, sockets reconnect to another
process, and the process exits in time."""

import http.client
import threading
import time
from dataclasses import dataclass, field

import pytest

from harness.processes import ManagedProcess
from harness.waiting import wait_until
from tests.support.cluster import WebCluster
from tests.support.http_client import HttpClient

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit]
STOP_SECONDS = 10.0
CLIENT_COUNT = 8


@dataclass
class KeepAliveClient(threading.Thread):
    """Likes and unlikes over one keep-alive connection until the port is closed."""

    user: HttpClient
    post: str
    web_process: ManagedProcess
    response_count: int = 0
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.web_process.port, timeout=STOP_SECONDS)
        is_new_connection = True
        while True:
            method = ("PUT", "DELETE")[self.response_count % 2]
            try:
                connection.request(
                    method,
                    f"/api/posts/{self.post}/like",
                    headers={"Authorization": f"Bearer {self.user.token}"},
                )
                response = connection.getresponse()
                response.read()
            except ConnectionRefusedError:
                return  # the process has stopped listening
            except (OSError, http.client.HTTPException) as error:
                # A keep-alive connection may be closed between two requests; clients repeat such a request.
                if is_new_connection and not isinstance(error, ConnectionResetError | BrokenPipeError):
                    self.errors.append(f"{method}: {error!r}")
                connection.close()
                is_new_connection = True
                continue
            self.response_count += 1
            is_new_connection = response.getheader("Connection", "").lower() == "close"
            if response.status != 200:
                self.errors.append(f"{method}: {response.status}")


def test_web_process_stops_under_load_without_cutting_off_requests(cluster: WebCluster) -> None:
    owner, *fans = cluster.register_clients("Alice", *(f"Fan {n}" for n in range(CLIENT_COUNT)))
    post = owner.create_post("Hello")
    web = cluster.scenario.processes.start_web(RATE_LIMIT_ENABLED="false")
    tab = owner.at_server(web.base_url).open_tab()
    idle = http.client.HTTPConnection("127.0.0.1", web.port, timeout=STOP_SECONDS)
    idle.request("GET", "/health")
    idle.getresponse().read()
    clients = [KeepAliveClient(fan, post, web) for fan in fans]
    for client in clients:
        client.start()
    wait_until(lambda: all(client.response_count > 5 for client in clients), "some load", 60)

    started_at = time.monotonic()
    web.terminate()
    exit_code = web.wait_for_exit(3 * STOP_SECONDS)
    elapsed_seconds = time.monotonic() - started_at

    for client in clients:
        client.join(STOP_SECONDS)
    assert [error for client in clients for error in client.errors] == []
    assert (exit_code, elapsed_seconds < STOP_SECONDS) == (0, True), (
        f"{elapsed_seconds:.1f} s\n{web.log_tail()}"
    )
    # The same tab joins at another process.
    tab.disconnect()
    tab.base_url = cluster.web_processes[0].base_url
    joined = tab.join()
    assert joined is not None
    assert joined["userId"] == owner.id
    assert "graceful timeout" not in web.log_path.read_text()
    cluster.scenario.wait_until_idle()
