"""Joining the room of a user: authentication, events missed since the last connection, buffered events.

Input: `join_room {userId, token?, since?}` (docs/socket-api.md). Output: `joined` or `error`, then the events
that arrived during the join.
"""

import logging
from dataclasses import dataclass
from typing import Any

from flask import request
from flask_socketio import emit, join_room

from app.accounts.access_tokens import AccessTokens, Claims
from app.delivery.handshake import parse_resume_point
from app.delivery.history import ClientEventHistory, ResumePoint, ResumeResult
from app.delivery.live_post_counts import LivePostCounts
from app.delivery.local_sockets import LocalSockets
from app.delivery.socket_cursor import JoinBufferOverflow
from app.domain.errors import Rejected, Unavailable
from app.messaging.socket_push import ALL_POSTS_ROOM, user_room

log = logging.getLogger(__name__)
AUTHENTICATION_REQUIRED_MESSAGE = "Authentication required"
USER_MISMATCH_MESSAGE = "User ID does not match token"


@dataclass(slots=True)
class SocketConnection:
    """One Socket.IO connection. Without claims it is in no room and is closed after a minute."""

    eio_sid: str
    connected_at: float
    claims: Claims | None = None
    pending_joins: int = 0
    """Number of join_room messages being handled."""


class RoomJoinHandler:
    def __init__(
        self,
        local_sockets: LocalSockets,
        access_tokens: AccessTokens,
        history: ClientEventHistory,
        live_counts: LivePostCounts,
    ) -> None:
        self._local_sockets = local_sockets
        self._live_counts = live_counts
        self._access_tokens = access_tokens
        self._history = history

    def enter_rooms_and_start_buffering(self, claims: Claims) -> None:
        """Adds the current socket to its rooms; its events are buffered until flush_buffered_events()."""
        self._local_sockets.delivered.start_tracking(claims.user_id, None)
        self._local_sockets.cursors.start_buffering(user_room(claims.user_id), current_sid())
        join_room(user_room(claims.user_id))
        if self._live_counts.add_socket(current_sid()):
            join_room(ALL_POSTS_ROOM)

    def handle_join_room(self, connection: SocketConnection, payload: Any) -> None:
        """A token given at the handshake need not be repeated."""
        try:
            claims = self._authenticate(payload, connection)
        except Rejected as exc:
            emit("error", {"message": str(exc)}, ignore_queue=True)
            return
        connection.claims = claims
        # Enter the room before reading the history: events that arrive in between are buffered.
        self.enter_rooms_and_start_buffering(claims)
        since = payload.get("since") if isinstance(payload, dict) else None
        resume_result: ResumeResult | None = None
        connection.pending_joins += 1
        try:
            resume_result = self._load_missed_and_start_tracking(claims.user_id, parse_resume_point(since))
            self._emit_joined(claims.user_id, resume_result)
        finally:
            connection.pending_joins -= 1
            self.flush_buffered_events(current_sid(), connection, resume_result)

    def flush_buffered_events(
        self, sid: str, connection: SocketConnection, resume_result: ResumeResult | None = None
    ) -> None:
        """Emits events that arrived during the join and were not among the missed ones."""
        if connection.pending_joins or connection.claims is None:
            return
        room = user_room(connection.claims.user_id)
        last_client_seq = resume_result.client_seq if resume_result and resume_result.is_complete else 0
        try:
            for event, data in self._local_sockets.cursors.stop_buffering_and_iter_undelivered(
                room, sid, last_client_seq, resume_result.unread_badge if resume_result else None
            ):
                self._local_sockets.socketio.emit(event, data, to=sid, ignore_queue=True)
        except JoinBufferOverflow:
            self._local_sockets.socketio.server.eio.disconnect(connection.eio_sid)

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

    def _load_missed_and_start_tracking(self, user_id: str, since: ResumePoint | None) -> ResumeResult:
        try:
            resume_result = self._history.load_missed_events(user_id, since)
        except Unavailable as exc:
            # Live events still arrive; the client loads the rest over HTTP later.
            log.warning(
                "Socket joined without its history: %s", exc, extra={"event": "socket_history_unavailable"}
            )
            return ResumeResult("", 0, False, ())
        self._local_sockets.delivered.start_tracking(user_id, resume_result.client_seq)
        return resume_result

    def _emit_joined(self, user_id: str, resume_result: ResumeResult) -> None:
        decrypt_event = self._local_sockets.encryption.decrypt_login_code
        payload = {
            "userId": user_id,
            "socketId": current_sid(),
            "epoch": resume_result.epoch or None,
            "seq": resume_result.client_seq if resume_result.epoch else None,
            "recovered": resume_result.is_complete,
            "missed": [
                client_event | {"data": decrypt_event(client_event["data"])}
                for client_event in resume_result.client_events
            ],
        }
        emit("joined", payload, ignore_queue=True)


def current_sid() -> str:
    return str(request.sid)  # type: ignore[attr-defined]
