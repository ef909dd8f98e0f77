"""An HTTP client that logs each request before it is sent and its response afterwards."""

import json
import random
import socket
import time
from http.client import HTTPConnection, HTTPException
from typing import Any, Protocol

import gevent

from app.devtools.checker.request_log import ACKNOWLEDGED, REFUSED, UNKNOWN_OUTCOME, outcome_of_status
from drills.balancer import LoadBalancer

RESPONSE_TIMEOUT_SECONDS = 10.0
"""Far above the guaranteed response time, so that slow responses are measured rather than cut off."""
MAX_CONNECTION_IDLE_SECONDS = 4.0
MAX_ATTEMPTS = 4
RETRY_DELAY_RANGE_SECONDS = (0.3, 1.0)


class RequestLogger(Protocol):
    def next_operation_id(self) -> int: ...

    def __call__(self, entry_type: str, **fields: Any) -> None: ...


class LoggingHttpClient:
    """Keeps idle connections per server, as browsers do, if `keep_alive`."""

    def __init__(self, load_balancer: LoadBalancer, request_logger: RequestLogger, keep_alive: bool) -> None:
        self._load_balancer = load_balancer
        self._request_logger = request_logger
        self._keep_alive = keep_alive
        self._idle_connections: list[list[tuple[HTTPConnection, float]]] = [[] for _ in load_balancer.ports]

    def send_once(
        self,
        request_kind: str,
        actor_id: str,
        object_id: str,
        method: str,
        path: str,
        token: str,
        **request_options: Any,
    ) -> dict[str, Any]:
        """One request without retries."""
        return self._send_attempt(
            self._request_logger.next_operation_id(),
            1,
            request_kind,
            actor_id,
            object_id,
            method,
            path,
            token,
            **request_options,
        )

    def send_with_retries(
        self,
        request_kind: str,
        actor_id: str,
        object_id: str,
        method: str,
        path: str,
        token: str,
        **request_options: Any,
    ) -> dict[str, Any]:
        """Repeats the same request while its outcome is unknown or "retry later"."""
        operation_id, result = self._request_logger.next_operation_id(), {}
        for attempt_number in range(1, MAX_ATTEMPTS + 1):
            result = self._send_attempt(
                operation_id,
                attempt_number,
                request_kind,
                actor_id,
                object_id,
                method,
                path,
                token,
                **request_options,
            )
            if result["outcome"] in (ACKNOWLEDGED, REFUSED) and result["status"]:
                break
            gevent.sleep(random.uniform(*RETRY_DELAY_RANGE_SECONDS))
        return result

    def _send_attempt(
        self,
        operation_id: int,
        attempt_number: int,
        request_kind: str,
        actor_id: str,
        object_id: str,
        method: str,
        path: str,
        token: str,
        body: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        server_index = self._load_balancer.next_server()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        self._request_logger(
            "request",
            operation_id=operation_id,
            attempt_number=attempt_number,
            request_kind=request_kind,
            actor_id=actor_id,
            object_id=object_id,
            sent_at=time.time(),
            server_index=server_index,
            has_idempotency_key=idempotency_key is not None,
        )
        body_json = json.dumps(body) if body is not None else None
        result = self._send_and_receive(server_index, method, path, body_json, headers)
        self._request_logger(
            "response",
            operation_id=operation_id,
            attempt_number=attempt_number,
            answered_at=time.time(),
            **result,
        )
        return result

    def _send_and_receive(
        self,
        server_index: int,
        method: str,
        path: str,
        body_json: str | None,
        headers: dict[str, str],
    ) -> dict[str, Any]:
        try:
            conn = self._acquire_connection(server_index)
        except ConnectionRefusedError:
            self._load_balancer.mark_down(server_index)
            return _make_result(REFUSED, 0, code="connection_refused")
        except OSError as exc:
            return _make_result(UNKNOWN_OUTCOME, 0, code=type(exc).__name__)
        try:
            conn.request(method, path, body_json, headers)
            response = conn.getresponse()
            body = response.read()
        except (OSError, HTTPException) as exc:
            self._load_balancer.mark_down(server_index)
            conn.close()
            return _make_result(UNKNOWN_OUTCOME, 0, code=type(exc).__name__)
        if self._keep_alive and not response.will_close:
            self._idle_connections[server_index].append((conn, time.monotonic()))
        else:
            conn.close()
        return _parse_response(response.status, body, response.getheader("Retry-After"))

    def _acquire_connection(self, server_index: int) -> HTTPConnection:
        """A recently used connection, or a new one. The server may close one that was idle for long
        just as a request is sent, which would look like a fault."""
        while self._idle_connections[server_index]:
            conn, idle_since = self._idle_connections[server_index].pop()
            if time.monotonic() - idle_since < MAX_CONNECTION_IDLE_SECONDS:
                return conn
            conn.close()
        port = self._load_balancer.ports[server_index]
        conn = HTTPConnection("127.0.0.1", port, timeout=RESPONSE_TIMEOUT_SECONDS)
        conn.connect()
        assert conn.sock
        conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return conn


def _parse_response(status: int, body: bytes, retry_after: str | None) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except ValueError:
        payload = {}
    if not isinstance(payload, dict):
        payload = {}
    return _make_result(
        outcome_of_status(status),
        status,
        payload.get("code"),
        retry_after,
        _extract_checked_fields(payload),
    )


def _extract_checked_fields(payload: dict[str, Any]) -> dict[str, Any]:
    post = payload.get("post") or {}
    fields = {
        "count": payload.get("likesCount", payload.get("followersCount", post.get("likesCount"))),
        "active": payload.get("liked", payload.get("following", post.get("isLiked"))),
        "comments": post.get("commentsCount"),
        "id": (payload.get("comment") or {}).get("id"),
        "stale": payload.get("stale", post.get("stale")),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _make_result(
    outcome: str,
    status: int,
    code: str | None = None,
    retry_after: str | None = None,
    checked_fields: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "status": status,
        "code": code,
        "retry_after": retry_after,
        "response_fields": checked_fields or {},
    }
