"""The sockets of this process: the Socket.IO server, the dispatcher that sends client events to them, and the
posts that they watch.

Built without a Flask application, so that whatever publishes events can be given the dispatcher first;
app/delivery/sockets.py binds it to the application. Until then it has no connections and emits nothing.
"""

from collections.abc import Collection
from typing import Any

from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from flask_socketio import SocketIO
from socketio.packet import EVENT

from app.clients.gevent_setup import iterate_cooperatively
from app.delivery.history import ClientEventHistory
from app.delivery.post_watchers import PostWatchers
from app.delivery.socket_backpressure import BackpressureGuard
from app.delivery.socket_dispatcher import SocketDispatcher
from app.messaging.message_encryption import MessageEncryption


class LocalSockets:
    def __init__(self, history: ClientEventHistory, encryption: MessageEncryption) -> None:
        self.socketio = SocketIO()
        self.post_watchers = PostWatchers()
        self.encryption = encryption
        self.dispatcher = SocketDispatcher(history, self._send_decrypted, self.close)
        self.backpressure: BackpressureGuard | None = None

    def install_backpressure(self) -> BackpressureGuard:
        """Called when the server is bound to the application."""
        self.backpressure = BackpressureGuard(self.socketio.server.eio)
        return self.backpressure

    def emit(self, event: str, data: dict[str, Any], sids: Collection[str]) -> None:
        """Encodes the event once. Lets other greenlets run between many sockets."""
        if not sids:
            return
        server = self.socketio.server
        message = server.packet_class(EVENT, data=[event, data], namespace="/").encode()
        packet = EnginePacket(MESSAGE, message)
        for sid in iterate_cooperatively(list(sids)):
            eio_sid = server.manager.eio_sid_from_sid(sid, "/")
            if eio_sid is not None:
                server.eio.send_packet(eio_sid, packet)

    def close(self, sid: str) -> None:
        """Its client reconnects."""
        if self.backpressure is not None:
            self.backpressure.close_gracefully(self.socketio.server.manager.eio_sid_from_sid(sid, "/"))

    def _send_decrypted(self, event: str, data: dict[str, Any], sid: str) -> None:
        """Sends to one socket, with secrets decrypted for their owner."""
        self.emit(event, self.encryption.decrypt_login_code(data), (sid,))
