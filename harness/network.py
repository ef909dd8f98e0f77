"""Ports and HTTP probes on 127.0.0.1."""

import socket
from http.client import HTTPConnection, HTTPException


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_responding(port: int) -> bool:
    """GET /health is answered with a status below 500."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
