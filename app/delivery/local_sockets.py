"""The sockets of this process: the Socket.IO server, and the dispatcher that sends client events to them.

Built without a Flask application, so that whatever publishes events can be given the dispatcher first;
app/delivery/sockets.py binds it to the application. Until then it has no connections and emits nothing.
"""

from typing import Any

from flask_socketio import SocketIO

from app.delivery.history import ClientEventHistory
from app.delivery.socket_backpressure import BackpressureGuard
from app.delivery.socket_dispatcher import SocketDispatcher
from app.messaging.message_encryption import MessageEncryption


class LocalSockets:
    def __init__(self, history: ClientEventHistory, encryption: MessageEncryption) -> None:
        self.socketio = SocketIO()
        self.encryption = encryption
        self.dispatcher = SocketDispatcher(history, self._send_decrypted, self.close)
        self.backpressure: BackpressureGuard | None = None

    def install_backpressure(self) -> BackpressureGuard:
        """Called when the server is bound to the application."""
        self.backpressure = BackpressureGuard(self.socketio.server.eio)
        return self.backpressure

    def emit_to_room(self, event: str, data: dict[str, Any], room: str) -> None:
        """Emits to the sockets of this process only."""
        self.socketio.emit(event, data, to=room)

    def close(self, sid: str) -> None:
        """Its client reconnects."""
        if self.backpressure is not None:
            self.backpressure.close_socket(self.socketio.server.manager.eio_sid_from_sid(sid, "/"))

    def _send_decrypted(self, event: str, data: dict[str, Any], sid: str) -> None:
        """Sends to one socket, with secrets decrypted for their owner."""
        self.emit_to_room(event, self.encryption.decrypt_login_code(data), sid)
