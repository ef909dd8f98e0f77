"""What stands in front of two web processes in real life: it sends nobody to one that is down.

In    ports; GET /health of each, three times a second
Out   drills/clients.py and drills/listeners.py: which process next
"""

from http.client import HTTPConnection, HTTPException

import gevent

LOOK_SECONDS, PATIENCE_SECONDS = 0.3, 1.0


class Balancer:
    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self._up = [True] * len(ports)
        self._turn = 0

    def start(self) -> None:
        for server in range(len(self.ports)):
            gevent.spawn(self._watch, server)

    def next(self) -> int:
        """In turn, among those that are up; all of them if none is."""
        up = [n for n, well in enumerate(self._up) if well] or list(range(len(self.ports)))
        self._turn += 1
        return up[self._turn % len(up)]

    def failed(self, server: int) -> None:
        """It cut or refused a connection: out until it answers again."""
        self._up[server] = False

    def _watch(self, server: int) -> None:
        while True:
            gevent.sleep(LOOK_SECONDS)
            self._up[server] = self._answers(server)

    def _answers(self, server: int) -> bool:
        link = HTTPConnection("127.0.0.1", self.ports[server], timeout=PATIENCE_SECONDS)
        try:
            link.request("GET", "/health")
            return link.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            link.close()
