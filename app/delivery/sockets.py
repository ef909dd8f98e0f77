"""Socket server: connections of clients, who may open one, and when it is closed.

Input: Socket.IO, namespace / (docs/socket-api.md). Output: `session_ended`. Client events come from
app/delivery/socket_dispatcher.py, live counts from app/delivery/live_post_counts.py;
jinja/static/liveNotifications.js is the client.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import gevent
from flask import Flask
from flask_socketio import ConnectionRefusedError

from app.accounts.access_tokens import AccessTokens, Claims
from app.clients.pg_notify import PgNotifyListener
from app.delivery import packet_validation, request_body_timeout
from app.delivery.handshake import build_origin_check
from app.delivery.history import ClientEventHistory
from app.delivery.live_post_counts import LivePostCounts
from app.delivery.local_sockets import LocalSockets
from app.delivery.read_receipts import ReadReceiptBuffer
from app.delivery.redis_pubsub import ClientEventSubscriber
from app.delivery.room_joins import RoomJoinHandler, SocketConnection, current_sid
from app.delivery.socket_dispatcher import run_notify_loop
from app.delivery.watch_posts import WatchPostsHandler
from app.domain.errors import Rejected
from app.messaging.socket_push import POSTS_CHANGED_EVENT, USER_ROOM_PREFIX
from app.persistence.critical_notify import CRITICAL_NOTIFY_CHANNEL
from app.persistence.fan_out_pages import FAN_OUT_PAGE_CHANNEL
from app.settings import ServiceUrls
from app.social.posts import PostReader

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)
SOCKETS_PATH = "/socket.io/"
SWEEP_INTERVAL_SECONDS = 30.0
UNAUTHENTICATED_TIMEOUT_SECONDS = 60.0
MAX_MESSAGE_BYTES = 64 * 1024
JOIN_WAIT_SECONDS = 0.3
"""Time for the join_room of a socket that sent its token at the handshake; then its events are flushed."""


def route_socketio(socketio_app: "WSGIApplication", flask_app: "WSGIApplication") -> "WSGIApplication":
    """Sends requests below SOCKETS_PATH to Socket.IO and all others directly to Flask."""

    socketio_app = packet_validation.wrap_with_request_validation(socketio_app, MAX_MESSAGE_BYTES)

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request_body_timeout.install_body_deadline(environ)
        is_socketio_request = environ.get("PATH_INFO", "").startswith(SOCKETS_PATH)
        return (socketio_app if is_socketio_request else flask_app)(environ, start_response)

    return application


class SocketServer:
    """Binds the Socket.IO server of `local_sockets` to the Flask application."""

    def __init__(
        self,
        flask_app: Flask,
        local_sockets: LocalSockets,
        *,
        service_urls: ServiceUrls,
        cors_origins: tuple[str, ...],
        access_tokens: AccessTokens,
        history: ClientEventHistory,
        read_receipts: ReadReceiptBuffer,
        live_counts: LivePostCounts,
        posts: PostReader,
        now: Callable[[], float],
    ) -> None:
        self._connections: dict[str, SocketConnection] = {}
        self._access_tokens = access_tokens
        self._local_sockets = local_sockets
        self._dispatcher = local_sockets.dispatcher
        self._now = now
        self._joins = RoomJoinHandler(local_sockets, access_tokens, history)
        self._live_counts = live_counts
        self._watch_posts = WatchPostsHandler(local_sockets.post_watchers, live_counts, posts)
        self._pg_listener = PgNotifyListener(
            service_urls.database_url, CRITICAL_NOTIFY_CHANNEL, FAN_OUT_PAGE_CHANNEL
        )
        self.read_receipts = read_receipts
        self.socketio = local_sockets.socketio
        self._redis_subscriber = ClientEventSubscriber(
            service_urls.redis_url, self._on_redis_connected, self._deliver_from_redis
        )
        self._bind_to_flask(flask_app, cors_origins)
        self._backpressure = local_sockets.install_backpressure()

    def _bind_to_flask(self, flask_app: Flask, cors_origins: tuple[str, ...]) -> None:
        flask_wsgi_app = flask_app.wsgi_app
        self.socketio.init_app(
            flask_app,
            async_mode="gevent",
            cors_allowed_origins=build_origin_check(cors_origins),
            ping_timeout=20,
            max_http_buffer_size=MAX_MESSAGE_BYTES,
            manage_session=False,
            serializer=packet_validation.ClientPacket,
            # Without these both libraries add log handlers of their own, which skip the redaction.
            logger=logging.getLogger("socketio"),
            engineio_logger=logging.getLogger("engineio"),
        )
        # The middleware of Flask-SocketIO copies the environment of each request: HTTP requests skip it.
        flask_app.wsgi_app = route_socketio(flask_app.wsgi_app, flask_wsgi_app)  # type: ignore[method-assign, assignment]
        self.socketio.on_event("connect", self._on_connect)
        self.socketio.on_event("disconnect", self._on_disconnect)
        self.socketio.on_event("join_room", self._on_join_room)
        self.socketio.on_event("leave_room", self._on_leave_room)
        self.socketio.on_event("watch_posts", self._on_watch_posts)
        self.socketio.on_event("notification_ack", self._on_notification_ack)

    def start_background_tasks(self) -> None:
        """Starts the endless loops. Called by the entry point, so that tests have no greenlets running."""
        gevent.spawn(self._close_expired_connections_forever)
        gevent.spawn(self._backpressure.close_slow_sockets_forever)
        gevent.spawn(self.read_receipts.write_forever)
        gevent.spawn(self._live_counts.emit_forever)
        gevent.spawn(self._redis_subscriber.deliver_forever)
        gevent.spawn(self._dispatcher.send_missed_events_forever)
        gevent.spawn(run_notify_loop, self._pg_listener, self._dispatcher)

    def count_connected_users(self) -> int:
        """Number of different users connected to this process."""
        return len(
            {connection.claims.user_id for connection in self._connections.values() if connection.claims}
        )

    def close_all_connections(self) -> None:
        """Closes the transports. Clients see a lost connection and reconnect."""
        self._backpressure.close_all_sockets()

    def stop(self) -> None:
        """For the end of the process: closes the connections and writes buffered read receipts."""
        self.close_all_connections()
        self.read_receipts.flush()

    def close_expired_connections(self) -> int:
        """Closes connections with an expired or revoked token, and those never authenticated."""
        now, closed_count = self._now(), 0
        for sid, connection in list(self._connections.items()):
            claims = connection.claims
            is_expired = (
                self._access_tokens.is_expired_or_revoked(claims)
                if claims
                else now - connection.connected_at > UNAUTHENTICATED_TIMEOUT_SECONDS
            )
            if is_expired:
                self._emit_session_ended_if_revoked(sid, claims)
                self._local_sockets.close(sid)
                closed_count += 1
        return closed_count

    def _emit_session_ended_if_revoked(self, sid: str, claims: Claims | None) -> None:
        """Tells a client with a revoked session not to refresh its token: it goes to the log-in page."""
        if claims and self._access_tokens.is_session_or_user_revoked(claims):
            self.socketio.emit("session_ended", {}, to=sid)

    def _close_expired_connections_forever(self) -> None:
        while True:
            gevent.sleep(SWEEP_INTERVAL_SECONDS)
            try:
                self.close_expired_connections()
            except Exception:  # one broken socket must not end the loop
                log.exception(
                    "Closing expired sockets failed", extra={"event": "close_expired_sockets_failed"}
                )

    def _on_connect(self, auth: Any = None) -> None:
        sid = current_sid()
        connection = SocketConnection(self._now())
        token = auth.get("token") if isinstance(auth, dict) else None
        if token is not None:
            try:
                connection.claims = self._access_tokens.verify(token if isinstance(token, str) else "")
            except Rejected as exc:
                raise ConnectionRefusedError(str(exc)) from exc
        self._connections[sid] = connection
        if connection.claims:
            cursor = self._joins.add_socket(connection.claims)
            gevent.spawn_later(JOIN_WAIT_SECONDS, self._dispatcher.send_held_events, cursor)

    def _on_disconnect(self, *_: Any) -> None:
        closed_connection = self._connections.pop(current_sid(), None)
        self._local_sockets.post_watchers.remove_socket(current_sid())
        if closed_connection and closed_connection.claims:
            self._dispatcher.remove_socket(closed_connection.claims.user_id, current_sid())

    def _on_join_room(self, payload: Any = None) -> None:
        connection = self._connections.get(current_sid())
        if connection is not None:
            self._joins.handle_join_room(connection, payload)

    def _on_leave_room(self, _: Any = None) -> None:
        connection = self._connections.get(current_sid())
        if connection and connection.claims:
            self._dispatcher.remove_socket(connection.claims.user_id, current_sid())

    def _on_watch_posts(self, payload: Any = None) -> dict[str, list[dict[str, object]]] | None:
        connection = self._connections.get(current_sid())
        return self._watch_posts.handle_watch_posts(connection, payload) if connection else None

    def _on_notification_ack(self, payload: Any = None) -> None:
        """Buffered; written to the delivery log as `seen`."""
        connection = self._connections.get(current_sid())
        if connection and connection.claims:
            self.read_receipts.add_ack(connection.claims.user_id, payload)

    def _deliver_from_redis(self, event: str, data: dict[str, Any], room: str) -> None:
        if event == POSTS_CHANGED_EVENT:
            self._live_counts.record_changes(data)
        elif room.startswith(USER_ROOM_PREFIX):
            self._dispatcher.deliver(room.removeprefix(USER_ROOM_PREFIX), event, data, "redis")
        else:
            self._local_sockets.emit(event, data, self._local_sockets.post_watchers.sids_without_list)

    def _on_redis_connected(self) -> None:
        """Connected users get what was published while Redis pub/sub was disconnected."""
        self._live_counts.record_missed_changes()
        self._dispatcher.mark_all_behind()
