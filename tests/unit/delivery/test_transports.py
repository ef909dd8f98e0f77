"""Transports against real servers: which errors concern the message and which the server."""

import json
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.headerregistry import Address
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.clients import circuit_breaker
from app.delivery.file_transports import FileEmailTransport, FileSmsTransport
from app.delivery.mail_message import OutboundEmailOrSms
from app.delivery.message_transport import DeliveryDeferred, TransportTimeouts
from app.delivery.sms_webhook_transport import SmsWebhookTransport
from app.delivery.smtp_transport import SmtpTransport
from app.delivery.transports import create_transports_by_channel
from app.domain.errors import Poisoned, Rejected, Unavailable
from app.domain.events import Kind
from harness.waiting import wait_until
from tests.support.mail_server import DROP_AFTER_DATA, HANG, HANG_AFTER_DATA, MailServer

SENDER = Address("Chime", addr_spec="hello@chime.example.org")
SHORT_TIMEOUTS = TransportTimeouts(connect_seconds=2.0, response_seconds=0.3, attempt_seconds=2.0)
ANN = "ann@example.org"


def message(to: str = ANN, text: str = "Your code is 123456.") -> OutboundEmailOrSms:
    created_at = datetime(2026, 5, 28, tzinfo=UTC)
    return OutboundEmailOrSms("0190-1", to, Kind.OTP, "Your code", text, created_at)


@pytest.fixture(scope="module")
def shared_mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def mail_server(shared_mail_server: MailServer) -> MailServer:
    for recorded in (
        shared_mail_server.rule_by_recipient,
        shared_mail_server.rcpt_count_by_recipient,
        shared_mail_server.raw_messages,
        shared_mail_server.accepted_messages,
    ):
        recorded.clear()
    shared_mail_server.mail_reply = shared_mail_server.data_reply = "250 OK"
    return shared_mail_server


def send(mail_server: MailServer, **changes: Any) -> None:
    SmtpTransport(mail_server.url, SENDER, SHORT_TIMEOUTS).send(message(**changes))


def test_smtp_server_receives_the_message(mail_server: MailServer) -> None:
    send(mail_server)
    [mail] = mail_server.accepted_messages[ANN]
    assert mail["To"] == ANN
    assert mail["From"] == "Chime <hello@chime.example.org>"
    assert mail.get_content().strip() == "Your code is 123456."


def test_lines_that_begin_with_a_dot_arrive(mail_server: MailServer) -> None:
    send(mail_server, text="One\n.\n..Two")
    [mail] = mail_server.accepted_messages[ANN]
    assert mail.get_content().split() == ["One", ".", "..Two"]


def test_internationalized_address_is_accepted(mail_server: MailServer) -> None:
    send(mail_server, to="änn@exämple.org")
    assert list(mail_server.accepted_messages) == ["änn@xn--exmple-cua.org"]


@pytest.mark.parametrize(
    ("rule", "error", "text"),
    [
        pytest.param("550 5.1.1 No such user", Rejected, "550 5.1.1 No such user at RCPT",
                     id="550"),
        pytest.param("450 4.1.2 Not now", DeliveryDeferred, "450 4.1.2 Not now at RCPT", id="450"),
        pytest.param("421 4.3.2 Going down", DeliveryDeferred, "421 4.3.2 Going down at RCPT", id="421"),
        pytest.param(f"553 <{ANN}>: no", Rejected, "553 <<recipient>>: no at RCPT",
                     id="names the address"),
        pytest.param(HANG, DeliveryDeferred, "the connection ended at RCPT", id="hangs at RCPT"),
        pytest.param(HANG_AFTER_DATA, DeliveryDeferred, "it is unknown whether the message was accepted",
                     id="hangs after DATA"),
        pytest.param(DROP_AFTER_DATA, DeliveryDeferred, "it is unknown whether the message was accepted",
                     id="closes after DATA"),
    ],
)  # fmt: skip
def test_recipient_error_concerns_this_message_only(
    mail_server: MailServer, rule: str, error: type[Exception], text: str
) -> None:
    mail_server.rule_by_recipient[ANN] = rule
    started_at = time.monotonic()
    with pytest.raises(error, match=text.replace(".", r"\.")) as raised:
        send(mail_server)
    assert type(raised.value) is error
    assert time.monotonic() - started_at < 10
    assert circuit_breaker.EMAIL.state == circuit_breaker.CLOSED

    mail_server.rule_by_recipient.clear()
    send(mail_server, to="bob@example.org")
    assert list(mail_server.accepted_messages) == ["bob@example.org"]


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        ("451 4.3.0 Your code is 123456 looks odd", DeliveryDeferred, "451 4.3.0 at DATA"),
        ("554 5.7.1 Your code is 123456 is spam", Rejected, "554 5.7.1 at DATA"),
        ("554 Spam", Rejected, "554 at DATA"),
    ],
)
def test_error_reply_is_stored_without_message_text(
    mail_server: MailServer, reply: str, error: type[Exception], text: str
) -> None:
    mail_server.data_reply = reply
    with pytest.raises(error) as raised:
        send(mail_server)
    assert str(raised.value) == text


def test_accepted_message_counts_when_quit_fails(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disconnect(_: smtplib.SMTP) -> None:
        raise smtplib.SMTPServerDisconnected("connection closed")

    monkeypatch.setattr(smtplib.SMTP, "quit", disconnect)
    send(mail_server)
    assert len(mail_server.accepted_messages[ANN]) == 1


@pytest.mark.parametrize(
    ("greeting", "text"),
    [
        pytest.param(None, "The mail server is unavailable", id="connection refused"),
        pytest.param("554 no service here\r\n", "refuses connections: 554", id="refused with 554"),
        pytest.param("421 too many\r\n", "refuses connections: 421", id="refused with 421"),
        pytest.param("", "The mail server is unavailable", id="no greeting"),
    ],
)
def test_failing_server_makes_the_transport_unavailable(greeting: str | None, text: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if greeting is None:
            listener.close()
        elif greeting:
            threading.Thread(target=_send_greeting, args=(listener, greeting), daemon=True).start()
        timeouts = TransportTimeouts(connect_seconds=0.3, response_seconds=0.3, attempt_seconds=2.0)
        with pytest.raises(Unavailable, match=text) as raised:
            SmtpTransport(f"smtp://user:hunter2@127.0.0.1:{port}", SENDER, timeouts).send(message())
    assert not isinstance(raised.value, DeliveryDeferred)
    assert "hunter2" not in str(raised.value)


def _send_greeting(listener: socket.socket, greeting: str) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(greeting.encode())
        connection.recv(100)


def test_wrong_password_is_not_an_error_of_the_message(mail_server: MailServer) -> None:
    """Otherwise a wrong setting would dead-letter every message."""
    url = mail_server.url.replace("smtp://", "smtp://user:hunter2@")
    with pytest.raises(Unavailable) as raised:
        SmtpTransport(url, SENDER, SHORT_TIMEOUTS).send(message())
    assert not isinstance(raised.value, DeliveryDeferred)


def test_rejected_sender_is_not_an_error_of_the_message(mail_server: MailServer) -> None:
    mail_server.mail_reply = "553 5.7.1 Not you"
    circuit_breaker.EMAIL.set_limits_and_reset(failure_threshold=1, reset_seconds=3600)
    with pytest.raises(Unavailable, match="refuses the sender: 553"):
        send(mail_server)
    assert circuit_breaker.EMAIL.state == circuit_breaker.OPEN


def test_unwritable_folder_opens_the_breaker(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file instead of the folder")
    circuit_breaker.EMAIL.set_limits_and_reset(failure_threshold=1, reset_seconds=3600)
    with pytest.raises(Unavailable, match="not writable"):
        FileEmailTransport(tmp_path / "outbox", SENDER).send(message())
    assert circuit_breaker.EMAIL.state == circuit_breaker.OPEN


def test_unavailable_server_opens_the_breaker(mail_server: MailServer) -> None:
    circuit_breaker.EMAIL.set_limits_and_reset(failure_threshold=2, reset_seconds=3600)
    unreachable = SmtpTransport("smtp://127.0.0.1:1", SENDER, SHORT_TIMEOUTS)
    for _ in range(2):
        with pytest.raises(Unavailable, match="ConnectionRefusedError"):
            unreachable.send(message())
    with pytest.raises(Unavailable, match="circuit breaker open"):
        send(mail_server)
    assert mail_server.rcpt_count_by_recipient == {}


def test_invalid_message_is_rejected_without_a_connection() -> None:
    with pytest.raises(Rejected):
        SmtpTransport("smtp://127.0.0.1:1", SENDER).send(message(to="a,b@example.org"))
    with pytest.raises(Poisoned):
        SmtpTransport("smtp://127.0.0.1:1", SENDER).send(message(text="\ud800"))


@pytest.fixture
def webhook_server() -> Iterator[HTTPServer]:
    class WebhookHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.received = json.loads(content)  # type: ignore[attr-defined]
            self.server.idempotency_key = self.headers["Idempotency-Key"]  # type: ignore[attr-defined]
            if self.path == "/hangs":
                self.server.stopped.wait(10)  # type: ignore[attr-defined]
                return
            if self.path == "/hangs-up":
                return
            self.send_response(int(self.path[1:]))
            self.send_header("Location", "/204")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Logs nothing."""

    server = HTTPServer(("127.0.0.1", 0), WebhookHandler)
    server.stopped = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.stopped.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        pytest.param("204", None, id="accepted"),
        pytest.param("400", Rejected, id="bad request"),
        pytest.param("401", Rejected, id="unauthorized"),
        pytest.param("302", Rejected, id="redirect"),
        pytest.param("408", DeliveryDeferred, id="request timeout"),
        pytest.param("429", DeliveryDeferred, id="too many requests"),
        pytest.param("500", DeliveryDeferred, id="server error"),
        pytest.param("hangs", DeliveryDeferred, id="hangs"),
        pytest.param("hangs-up", DeliveryDeferred, id="closes the connection"),
    ],
)
def test_webhook_receives_the_message(
    webhook_server: HTTPServer, path: str, error: type[Exception] | None
) -> None:
    webhook = SmsWebhookTransport(
        f"http://127.0.0.1:{webhook_server.server_address[1]}/{path}", SHORT_TIMEOUTS
    )
    if error is None:
        webhook.send(message())
    else:
        with pytest.raises(error) as raised:
            webhook.send(message())
        assert type(raised.value) is error
    assert webhook_server.received == {  # type: ignore[attr-defined]
        "id": "0190-1",
        "to": ANN,
        "type": "OTP",
        "text": "Your code is 123456.",
    }
    assert webhook_server.idempotency_key == "0190-1"  # type: ignore[attr-defined]


def test_unreachable_webhook_makes_the_transport_unavailable() -> None:
    with pytest.raises(Unavailable) as raised:
        SmsWebhookTransport("http://127.0.0.1:1/", SHORT_TIMEOUTS).send(message())
    assert not isinstance(raised.value, DeliveryDeferred)


def test_webhook_that_responds_again_closes_the_breaker(webhook_server: HTTPServer) -> None:
    circuit_breaker.SMS.set_limits_and_reset(failure_threshold=1, reset_seconds=0.05)
    with pytest.raises(Unavailable):
        SmsWebhookTransport("http://127.0.0.1:1/", SHORT_TIMEOUTS).send(message())
    wait_until(lambda: circuit_breaker.SMS.state == circuit_breaker.HALF_OPEN, "a probe is allowed", 5)
    with pytest.raises(DeliveryDeferred):
        SmsWebhookTransport(f"http://127.0.0.1:{webhook_server.server_address[1]}/500", SHORT_TIMEOUTS).send(
            message()
        )
    assert circuit_breaker.SMS.state == circuit_breaker.CLOSED


def test_email_file_names_its_recipient_and_is_written_once(tmp_path: Path) -> None:
    for _ in range(2):
        FileEmailTransport(tmp_path / "outbox", SENDER).send(message())
    (file,) = (tmp_path / "outbox").iterdir()
    assert f"To: {ANN}\r\n".encode() in file.read_bytes()
    assert b"Your code is 123456." in file.read_bytes()
    assert (file.name, file.stat().st_mode & 0o777) == ("0190-1.eml", 0o600)


def test_text_message_file_names_its_recipient(tmp_path: Path) -> None:
    FileSmsTransport(tmp_path).send(message())
    written = json.loads((tmp_path / "0190-1.json").read_bytes())
    assert (written["to"], written["text"]) == (ANN, "Your code is 123456.")


def test_files_replace_transports_without_configuration(tmp_path: Path) -> None:
    transport_by_channel = create_transports_by_channel(tmp_path, None, "http://hook", SENDER)
    assert (type(transport_by_channel["EMAIL"]), type(transport_by_channel["SMS"])) == (
        FileEmailTransport,
        SmsWebhookTransport,
    )
