"""A load balancer: chooses a web process for each connection and skips those whose health check fails."""

from http.client import HTTPConnection, HTTPException

import gevent

HEALTH_CHECK_INTERVAL_SECONDS, HEALTH_CHECK_TIMEOUT_SECONDS = 0.3, 1.0


class LoadBalancer:
    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self._is_up = [True] * len(ports)
        self._request_count = 0

    def start(self) -> None:
        for server_index in range(len(self.ports)):
            gevent.spawn(self._run_health_checks, server_index)

    def next_server(self) -> int:
        """Round-robin over the servers that are up, or over all of them if none is."""
        up_servers = [server_index for server_index, is_up in enumerate(self._is_up) if is_up] or list(
            range(len(self.ports))
        )
        self._request_count += 1
        return up_servers[self._request_count % len(up_servers)]

    def mark_down(self, server_index: int) -> None:
        """After a reset or refused connection; a successful health check marks it up again."""
        self._is_up[server_index] = False

    def _run_health_checks(self, server_index: int) -> None:
        while True:
            gevent.sleep(HEALTH_CHECK_INTERVAL_SECONDS)
            self._is_up[server_index] = self._is_healthy(server_index)

    def _is_healthy(self, server_index: int) -> bool:
        conn = HTTPConnection("127.0.0.1", self.ports[server_index], timeout=HEALTH_CHECK_TIMEOUT_SECONDS)
        try:
            conn.request("GET", "/health")
            return conn.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            conn.close()
