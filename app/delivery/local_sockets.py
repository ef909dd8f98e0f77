"""The sockets of this process: the Socket.IO server, what each user and socket has received, and the
dispatcher that emits to them.

Built without a Flask application, so that whatever publishes events can be given the dispatcher first;
app/delivery/sockets.py binds it to the application. Until then it has no connections and emits nothing.
"""

from typing import Any

from flask_socketio import SocketIO

from app.delivery.delivered_tracker import DeliveredEventTracker
from app.delivery.history import ClientEventHistory
from app.delivery.socket_cursor import SocketCursors
from app.delivery.socket_dispatcher import SocketDispatcher
from app.messaging.message_encryption import MessageEncryption


class LocalSockets:
    def __init__(self, history: ClientEventHistory, encryption: MessageEncryption) -> None:
        self.socketio = SocketIO()
        self.cursors = SocketCursors()
        self.delivered = DeliveredEventTracker()
        self.encryption = encryption
        self.dispatcher = SocketDispatcher(history, self.delivered, self.emit_decrypted)

    def emit_to_room(self, event: str, data: dict[str, Any], room: str) -> None:
        """Emits to the sockets of this process only."""
        self.socketio.emit(event, data, to=room, ignore_queue=True)

    def emit_decrypted(self, event: str, data: dict[str, Any], room: str) -> None:
        """Emits to the sockets of this process only, with secrets decrypted for their owner."""
        self.emit_to_room(event, self.encryption.decrypt_login_code(data), room)
