"""Transports that write each message to a file, for development without SMTP_URL or SMS_WEBHOOK_URL.

Output: DATA_DIR/outbox/<message id>.eml or .json.
"""

import os
from email.headerregistry import Address
from pathlib import Path

from app.clients import circuit_breaker
from app.delivery.mail_message import OutboundEmailOrSms, render_email, render_sms_json
from app.delivery.message_transport import is_server_unavailable_error
from app.domain.errors import Unavailable


class FileEmailTransport:
    def __init__(self, folder: Path, sender: Address) -> None:
        self._folder = folder
        self._sender = sender

    def send(self, message: OutboundEmailOrSms) -> None:
        content = render_email(message, self._sender, allow_eight_bit=True)
        with circuit_breaker.EMAIL.guard_call(is_server_unavailable_error):
            _write_file_once(self._folder / f"{message.id}.eml", content)


class FileSmsTransport:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: OutboundEmailOrSms) -> None:
        with circuit_breaker.SMS.guard_call(is_server_unavailable_error):
            _write_file_once(self._folder / f"{message.id}.json", render_sms_json(message))


def _write_file_once(path: Path, content: bytes) -> None:
    """Atomic, and readable by the owner only: the message may contain a code."""
    try:
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary_path = path.with_name(f".{path.name}.{os.getpid()}")
        temporary_path.touch(mode=0o600)
        temporary_path.write_bytes(content)
        temporary_path.replace(path)
    except OSError as exc:
        raise Unavailable("The outbox folder is not writable", "message_folder_unavailable") from exc
