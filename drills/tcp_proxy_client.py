"""The client of the TCP proxy's process (drills/tcp_proxy.py).

proxy = TcpProxyProcess({"redis": (port, target_port)})
proxy.configure("redis", delay_seconds=0.2, jitter_seconds=0.2)
proxy.clear_toxics("redis")
"""

from collections.abc import Mapping

from harness.helper_process import HelperProcess


class TcpProxyProcess(HelperProcess):
    """A command has taken effect when its method returns."""

    def __init__(self, routes: Mapping[str, tuple[int, int]]) -> None:
        self.ports = {route: port for route, (port, _) in routes.items()}
        super().__init__(
            "drills.tcp_proxy", *(f"{name}:{port}:{target}" for name, (port, target) in routes.items())
        )
        self.read_response()

    def configure(self, route: str, **toxic: object) -> None:
        """Sets fields of drills.tcp_proxy.Toxic."""
        self.request({"route": route} | toxic)

    def clear_toxics(self, *routes: str) -> None:
        for route in routes or self.ports:
            self.configure(route, clear=True)

    def reset_connections(self, route: str) -> None:
        """Ends every open connection with RST."""
        self.configure(route, reset=True)

    def half_close(self, route: str, direction: str) -> None:
        """Sends FIN in one direction ("up" or "down") of every open connection."""
        self.configure(route, half_close=direction)
