"""Joining the room of a user: authentication and events missed since the last connection.

Input: `join_room {userId, token?, since?}` (docs/socket-api.md). Output: `joined` or `error`, then the events
that waited in the cursor of the socket during the join.
"""

import logging
from dataclasses import dataclass
from typing import Any

from flask import request
from flask_socketio import emit

from app.accounts.access_tokens import AccessTokens, Claims
from app.delivery.handshake import parse_resume_point
from app.delivery.history import ClientEventHistory, ResumeResult
from app.delivery.local_sockets import LocalSockets
from app.delivery.socket_cursor import SocketCursor
from app.domain.errors import Rejected, Unavailable

log = logging.getLogger(__name__)
AUTHENTICATION_REQUIRED_MESSAGE = "Authentication required"
USER_MISMATCH_MESSAGE = "User ID does not match token"


@dataclass(slots=True)
class SocketConnection:
    """One Socket.IO connection. Without claims it receives nothing and is closed after a minute."""

    connected_at: float
    claims: Claims | None = None


class RoomJoinHandler:
    def __init__(
        self,
        local_sockets: LocalSockets,
        access_tokens: AccessTokens,
        history: ClientEventHistory,
    ) -> None:
        self._dispatcher = local_sockets.dispatcher
        self._decrypt_event = local_sockets.encryption.decrypt_login_code
        self._watchers = local_sockets.post_watchers
        self._access_tokens = access_tokens
        self._history = history

    def add_socket(self, claims: Claims) -> SocketCursor:
        """From now on the current socket gets live counts, and its client events wait in the cursor."""
        self._watchers.add_socket_without_list(current_sid())
        return self._dispatcher.add_socket(claims.user_id, current_sid())

    def handle_join_room(self, connection: SocketConnection, payload: Any) -> None:
        """A token given at the handshake need not be repeated."""
        try:
            claims = self._authenticate(payload, connection)
        except Rejected as exc:
            emit("error", {"message": str(exc)})
            return
        connection.claims = claims
        # The cursor before the history: events that arrive in between wait in it.
        cursor = self.add_socket(claims)
        cursor.begin_join()
        resume_result: ResumeResult | None = None
        try:
            resume_result = self._load_missed_events(claims.user_id, payload.get("since"))
            self._emit_joined(claims.user_id, resume_result)
        finally:
            self._dispatcher.end_join(cursor, resume_result)

    def _authenticate(self, payload: Any, connection: SocketConnection) -> Claims:
        """Raises Rejected with the messages of the seed application."""
        if not isinstance(payload, dict):
            raise Rejected(AUTHENTICATION_REQUIRED_MESSAGE)
        token = payload.get("token")
        claims = connection.claims if token is None else self._access_tokens.verify(str(token))
        if claims is None:
            raise Rejected(AUTHENTICATION_REQUIRED_MESSAGE)
        if payload.get("userId") != claims.user_id:
            raise Rejected(USER_MISMATCH_MESSAGE)
        if connection.claims and connection.claims.user_id != claims.user_id:
            raise Rejected(USER_MISMATCH_MESSAGE)  # a connection belongs to one user
        return claims

    def _load_missed_events(self, user_id: str, since: Any) -> ResumeResult | None:
        """None: the history is unavailable."""
        try:
            return self._history.load_missed_events(user_id, parse_resume_point(since))
        except Unavailable as exc:
            # Live events still arrive; the client loads the rest over HTTP later.
            log.warning(
                "Socket joined without its history: %s", exc, extra={"event": "socket_history_unavailable"}
            )
            return None

    def _emit_joined(self, user_id: str, resume_result: ResumeResult | None) -> None:
        payload = {
            "userId": user_id,
            "socketId": current_sid(),
            "epoch": resume_result.epoch if resume_result else None,
            "seq": resume_result.client_seq if resume_result else None,
            "recovered": bool(resume_result and resume_result.is_complete),
            "missed": [
                client_event | {"data": self._decrypt_event(client_event["data"])}
                for client_event in (resume_result.client_events if resume_result else ())
            ],
        }
        emit("joined", payload)


def current_sid() -> str:
    return str(request.sid)  # type: ignore[attr-defined]
