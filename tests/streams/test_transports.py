"""Transports on real servers: whose fault it is when a message is not accepted."""

import json
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from app import breakers
from app.domain.errors import Poisoned, Rejected, Unavailable
from app.domain.events import Kind
from app.domain.mail import Sender, retry_delay
from app.streams.mail_message import Message
from app.streams.transports import (
    Deferred,
    EmailFiles,
    SmsFiles,
    Smtp,
    Waits,
    Webhook,
    transports,
)
from tests.mail_server import DROP_AFTER_DATA, HANG, HANG_AFTER_DATA, MailServer
from tests.services.crew import until

SENDER = Sender("Chime", "hello@chime.example.org")
SOON = Waits(connect=2.0, answer=0.3, attempt=2.0)
ANN = "ann@example.org"


def message(to: str = ANN, text: str = "Your code is 123456.") -> Message:
    at = datetime(2026, 5, 28, tzinfo=UTC)
    return Message("0190-1", to, Kind.OTP, "Your code", text, at)


@pytest.fixture(scope="module")
def _server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def server(_server: MailServer) -> MailServer:
    for kept in (_server.rules, _server.tries, _server.raw, _server.accepted):
        kept.clear()
    _server.mail_answer = _server.data_answer = "250 OK"
    return _server


def send(server: MailServer, **changes: Any) -> None:
    Smtp(server.url, SENDER, SOON).send(message(**changes))


def test_a_server_is_given_the_message(server: MailServer) -> None:
    send(server)
    [mail] = server.accepted[ANN]
    assert mail["To"] == ANN
    assert mail["From"] == "Chime <hello@chime.example.org>"
    assert mail.get_content().strip() == "Your code is 123456."


def test_lines_that_begin_with_a_dot_arrive(server: MailServer) -> None:
    send(server, text="One\n.\n..Two")
    [mail] = server.accepted[ANN]
    assert mail.get_content().split() == ["One", ".", "..Two"]


def test_an_address_of_another_script_is_written_to(server: MailServer) -> None:
    send(server, to="änn@exämple.org")
    assert list(server.accepted) == ["änn@xn--exmple-cua.org"]


@pytest.mark.parametrize(
    ("rule", "fault", "words"),
    [
        pytest.param("550 5.1.1 No such user", Rejected, "550 5.1.1 No such user at RCPT",
                     id="550"),
        pytest.param("450 4.1.2 Not now", Deferred, "450 4.1.2 Not now at RCPT", id="450"),
        pytest.param("421 4.3.2 Going down", Deferred, "421 4.3.2 Going down at RCPT", id="421"),
        pytest.param(f"553 <{ANN}>: no", Rejected, "553 <<recipient>>: no at RCPT",
                     id="it names the address"),
        pytest.param(HANG, Deferred, "the connection ended at RCPT", id="it hangs at RCPT"),
        pytest.param(HANG_AFTER_DATA, Deferred, "whether the message was accepted is not known",
                     id="it hangs after DATA"),
        pytest.param(DROP_AFTER_DATA, Deferred, "whether the message was accepted is not known",
                     id="it hangs up after DATA"),
    ],
)  # fmt: skip
def test_what_a_server_says_of_a_recipient_is_about_this_message(
    server: MailServer, rule: str, fault: type[Exception], words: str
) -> None:
    server.rules[ANN] = rule
    began = time.monotonic()
    with pytest.raises(fault, match=words.replace(".", r"\.")) as refused:
        send(server)
    assert type(refused.value) is fault
    assert time.monotonic() - began < 10
    assert breakers.EMAIL.state == breakers.CLOSED

    server.rules.clear()
    send(server, to="bob@example.org")
    assert list(server.accepted) == ["bob@example.org"]


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        ("451 4.3.0 Your code is 123456 looks odd", Deferred, "451 4.3.0 at DATA"),
        ("554 5.7.1 Your code is 123456 is spam", Rejected, "554 5.7.1 at DATA"),
        ("554 Spam", Rejected, "554 at DATA"),
    ],
)
def test_a_reply_to_the_text_is_kept_without_words_that_may_quote_it(
    server: MailServer, answer: str, fault: type[Exception], words: str
) -> None:
    server.data_answer = answer
    with pytest.raises(fault) as refused:
        send(server)
    assert str(refused.value) == words


def test_what_was_accepted_counts_however_the_server_says_good_bye(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs_up(_: smtplib.SMTP) -> None:
        raise smtplib.SMTPServerDisconnected("no good-bye")

    monkeypatch.setattr(smtplib.SMTP, "quit", hangs_up)
    send(server)
    assert len(server.accepted[ANN]) == 1


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        pytest.param(None, "The mail server is away", id="nobody listens"),
        pytest.param("554 no service here\r\n", "refuses connections: 554", id="it turns us away"),
        pytest.param("421 too many\r\n", "refuses connections: 421", id="it has no room"),
        pytest.param("", "The mail server is away", id="it hangs before it greets"),
    ],
)
def test_a_server_that_does_not_work_is_away_for_all(greeting: str | None, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if greeting is None:
            listening.close()
        elif greeting:
            threading.Thread(target=_greets, args=(listening, greeting), daemon=True).start()
        waits = Waits(connect=0.3, answer=0.3, attempt=2.0)
        with pytest.raises(Unavailable, match=words) as away:
            Smtp(f"smtp://user:hunter2@127.0.0.1:{port}", SENDER, waits).send(message())
    assert not isinstance(away.value, Deferred)
    assert "hunter2" not in str(away.value)


def _greets(listening: socket.socket, greeting: str) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(greeting.encode())
        connection.recv(100)


def test_a_password_that_is_refused_is_the_fault_of_no_message(server: MailServer) -> None:
    """Else a wrong setting would make a dead letter of every message."""
    url = server.url.replace("smtp://", "smtp://user:hunter2@")
    with pytest.raises(Unavailable) as away:
        Smtp(url, SENDER, SOON).send(message())
    assert not isinstance(away.value, Deferred)


def test_a_sender_that_is_refused_is_the_fault_of_no_message(server: MailServer) -> None:
    server.mail_answer = "553 5.7.1 Not you"
    breakers.EMAIL.configure(failures=1, reset_seconds=3600)
    with pytest.raises(Unavailable, match="refuses the sender: 553"):
        send(server)
    assert breakers.EMAIL.state == breakers.OPEN


def test_a_folder_that_takes_no_file_is_left_alone_for_a_while(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file stands in its place")
    breakers.EMAIL.configure(failures=1, reset_seconds=3600)
    with pytest.raises(Unavailable, match="takes no file"):
        EmailFiles(tmp_path / "outbox", SENDER).send(message())
    assert breakers.EMAIL.state == breakers.OPEN


def test_a_server_that_is_away_is_left_alone_after_some_failures(server: MailServer) -> None:
    breakers.EMAIL.configure(failures=2, reset_seconds=3600)
    nobody = Smtp("smtp://127.0.0.1:1", SENDER, SOON)
    for _ in range(2):
        with pytest.raises(Unavailable, match="ConnectionRefusedError"):
            nobody.send(message())
    with pytest.raises(Unavailable, match="taken to be away"):
        send(server)
    assert server.tries == {}


def test_an_address_that_cannot_be_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(Rejected):
        Smtp("smtp://127.0.0.1:1", SENDER).send(message(to="a,b@example.org"))
    with pytest.raises(Poisoned):
        Smtp("smtp://127.0.0.1:1", SENDER).send(message(text="\ud800"))


@pytest.fixture
def hook() -> Iterator[HTTPServer]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.heard = json.loads(content)  # type: ignore[attr-defined]
            self.server.key = self.headers["Idempotency-Key"]  # type: ignore[attr-defined]
            if self.path == "/hangs":
                self.server.done.wait(10)  # type: ignore[attr-defined]
                return
            if self.path == "/hangs-up":
                return
            self.send_response(int(self.path[1:]))
            self.send_header("Location", "/204")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.done = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.done.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        pytest.param("204", None, id="taken"),
        pytest.param("400", Rejected, id="never"),
        pytest.param("401", Rejected, id="not us"),
        pytest.param("302", Rejected, id="a redirect, which would make a GET of it"),
        pytest.param("408", Deferred, id="too slow"),
        pytest.param("429", Deferred, id="too many"),
        pytest.param("500", Deferred, id="broken"),
        pytest.param("hangs", Deferred, id="it hangs"),
        pytest.param("hangs-up", Deferred, id="it hangs up"),
    ],
)
def test_a_webhook_is_told(hook: HTTPServer, path: str, fault: type[Exception] | None) -> None:
    webhook = Webhook(f"http://127.0.0.1:{hook.server_address[1]}/{path}", SOON)
    if fault is None:
        webhook.send(message())
    else:
        with pytest.raises(fault) as refused:
            webhook.send(message())
        assert type(refused.value) is fault
    assert hook.heard == {  # type: ignore[attr-defined]
        "id": "0190-1",
        "to": ANN,
        "type": "OTP",
        "text": "Your code is 123456.",
    }
    assert hook.key == "0190-1"  # type: ignore[attr-defined]


def test_an_absent_webhook_is_away_for_all() -> None:
    with pytest.raises(Unavailable) as away:
        Webhook("http://127.0.0.1:1/", SOON).send(message())
    assert not isinstance(away.value, Deferred)


def test_a_webhook_that_answers_anything_is_back(hook: HTTPServer) -> None:
    breakers.SMS.configure(failures=1, reset_seconds=0.05)
    with pytest.raises(Unavailable):
        Webhook("http://127.0.0.1:1/", SOON).send(message())
    until(lambda: breakers.SMS.state == breakers.HALF_OPEN, 5, "a probe is allowed")
    with pytest.raises(Deferred):
        Webhook(f"http://127.0.0.1:{hook.server_address[1]}/500", SOON).send(message())
    assert breakers.SMS.state == breakers.CLOSED


def test_a_file_names_its_recipient_and_is_written_once(tmp_path: Path) -> None:
    for _ in range(2):
        EmailFiles(tmp_path / "outbox", SENDER).send(message())
    (file,) = (tmp_path / "outbox").iterdir()
    assert f"To: {ANN}\r\n".encode() in file.read_bytes()
    assert b"Your code is 123456." in file.read_bytes()
    assert (file.name, file.stat().st_mode & 0o777) == ("0190-1.eml", 0o600)


def test_a_text_message_file_names_its_recipient(tmp_path: Path) -> None:
    SmsFiles(tmp_path).send(message())
    written = json.loads((tmp_path / "0190-1.json").read_bytes())
    assert (written["to"], written["text"]) == (ANN, "Your code is 123456.")


def test_files_stand_in_for_what_is_not_named(tmp_path: Path) -> None:
    made = transports(tmp_path, None, "http://hook", SENDER)
    assert (type(made["EMAIL"]), type(made["SMS"])) == (EmailFiles, Webhook)


def test_pauses_between_attempts_double_up_to_a_quarter_of_an_hour() -> None:
    assert [retry_delay(n, 0.0) for n in range(1, 8)] == [30, 60, 120, 240, 480, 900, 900]
    assert 33 > retry_delay(1, 0.999) > 32.9
    assert retry_delay(10**6, 0.0) == 900
