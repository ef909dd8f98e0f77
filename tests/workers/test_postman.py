"""The postman: who gets a letter, once, and whom an absent mail server keeps waiting."""

import email
import json
import smtplib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import Rejected, Unavailable
from app.domain.routing import Topic
from app.seals import Seals
from app.stores.users import Users
from app.streams.dead_letters import DeadLetters
from app.streams.kafka import Record
from app.streams.letters import Letter, MailFiles, Smtp, TextFiles, Webhook, carriers
from app.wiring import new_id
from tests.cast import people
from tests.fakes import MemoryKafka
from workers.postman import LETTERS_GROUP, Postman

READY = Topic.READY.value
SEALS = Seals("a test's secret")


@dataclass
class Box:
    """A channel that can be away, or refuse for good."""

    fault: Exception | None = None
    letters: list[Letter] = field(default_factory=list)

    def send(self, letter: Letter) -> None:
        if self.fault:
            raise self.fault
        self.letters.append(letter)


class Desk:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.kafka = MemoryKafka()
        self.mail, self.sms = Box(), Box()
        (self.ann,) = people(engine, "Ann")
        self.postman = self.new_postman()

    def new_postman(self) -> Postman:
        subscriber: Any = self.kafka.subscriber(LETTERS_GROUP, READY)
        boxes = {"EMAIL": self.mail, "SMS": self.sms}
        letters = DeadLetters(self.engine, self.kafka.publisher())
        return Postman(subscriber, boxes, Users(self.engine).emails, letters, SEALS)

    def announce(
        self, *channels: str, frame: str = "notification", letter: str | None = None, **data: Any
    ) -> None:
        content = {
            "id": new_id(),
            "version": 1,
            "type": "OTP",
            "title": "Your log-in code",
            "message": "Your code is 123456.",
            "metadata": {"channels": list(channels)},
        }
        value = {
            "id": 1,
            "targetId": self.ann,
            "frame": frame,
            "seq": 1,
            "at": "2026-05-01T00:00:00.000Z",
            "data": content | data,
        }
        if letter is not None:
            value["letter"] = letter
        record = Record(READY, self.ann, json.dumps(value).encode())
        self.kafka.publisher().publish([record])

    def lag(self) -> int:
        committed = sum(
            offset
            for (group, _, _), offset in self.kafka.committed.items()
            if group == LETTERS_GROUP
        )
        return len(self.kafka.records(READY)) - committed


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


def test_a_letter_goes_by_each_channel_that_the_announcement_names(desk: Desk) -> None:
    desk.announce("PUSH", "EMAIL", "SMS")
    assert desk.postman.step() == 1
    assert [one.text for one in desk.mail.letters] == ["Your code is 123456."]
    assert desk.mail.letters == desk.sms.letters


@pytest.mark.parametrize(
    ("channels", "frame"),
    [
        pytest.param(["PUSH"], "notification", id="push alone"),
        pytest.param(["EMAIL"], "notification_updated", id="a change without a ring"),
        pytest.param(["EMAIL"], "notification_removed", id="a removal"),
        pytest.param([], "notification", id="no channel"),
    ],
)
def test_no_letter_goes_for(desk: Desk, channels: list[str], frame: str) -> None:
    desk.announce(*channels, frame=frame)
    assert desk.postman.step() == 1
    assert desk.mail.letters == []


def test_critical_ones_are_the_couriers(desk: Desk) -> None:
    desk.announce("EMAIL", priority="CRITICAL")
    assert desk.postman.step() == 1
    assert (desk.mail.letters, desk.lag()) == ([], 0)


def test_simulated_people_get_no_mail(desk: Desk) -> None:
    with desk.engine.begin() as sql:
        sql.execute(text("update users set is_simulated = true"))
    desk.announce("EMAIL")
    desk.postman.step()
    assert desk.mail.letters == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"id": "../../etc/passwd"}, id="an id that climbs"),
        pytest.param({"metadata": "EMAIL"}, id="metadata of another type"),
        pytest.param({"metadata": {"channels": "EMAIL"}}, id="channels of another type"),
    ],
)
def test_what_no_ledger_wrote_is_passed_over(desk: Desk, data: dict[str, Any]) -> None:
    desk.announce("EMAIL", **data)
    assert desk.postman.step() == 1
    assert (desk.mail.letters, desk.lag()) == ([], 0)


def test_an_absent_mail_server_keeps_its_letters_and_no_text_message(desk: Desk) -> None:
    desk.mail.fault = Unavailable("away")
    desk.announce("EMAIL", "SMS")
    with pytest.raises(Unavailable):
        desk.postman.step()
    assert (len(desk.sms.letters), desk.lag()) == (1, 1)
    desk.mail.fault = None
    desk.postman.step()
    assert (len(desk.mail.letters), len(desk.sms.letters), desk.lag()) == (1, 1, 0)


def test_a_letter_that_is_refused_for_good_does_not_stop_the_next(desk: Desk) -> None:
    desk.mail.fault = Rejected("no such mailbox")
    desk.announce("EMAIL")
    desk.postman.step()
    desk.mail.fault = None
    desk.announce("EMAIL")
    desk.postman.step()
    assert len(desk.mail.letters) == 1
    with desk.engine.connect() as sql:
        dead = sql.execute(text("select reason, payload from dead_letters")).all()
    assert [tuple(row) for row in dead] == [("EMAIL: no such mailbox", None)]


LETTER = Letter("0190-1", "ann@example.org", "OTP", "Your\ncode", "Your code is 123456.")


def test_a_mail_file_names_its_recipient_and_is_written_once(tmp_path: Path) -> None:
    for _ in range(2):
        MailFiles(tmp_path / "outbox").send(LETTER)
    (file,) = (tmp_path / "outbox").iterdir()
    mail = email.message_from_bytes(file.read_bytes(), policy=default)
    assert (mail["To"], mail["Subject"]) == ("ann@example.org", "Your code")
    assert b"Your code is 123456." in file.read_bytes()
    assert (file.name, file.stat().st_mode & 0o777) == ("0190-1.eml", 0o600)


def test_a_text_message_file_names_its_recipient(tmp_path: Path) -> None:
    TextFiles(tmp_path).send(LETTER)
    written = json.loads((tmp_path / "0190-1.json").read_bytes())
    assert (written["to"], written["text"]) == ("ann@example.org", "Your code is 123456.")


@pytest.mark.parametrize("address", ["a,b@example.org", "no address", "<x@y.z>", "a\r\nBcc: c@d.e"])
def test_an_address_is_one_recipient_or_none(tmp_path: Path, address: str) -> None:
    letter = Letter("1", address, "OTP", "t", "m")
    with pytest.raises(Rejected):
        MailFiles(tmp_path).send(letter)


class MailServer(threading.Thread):
    """As much SMTP as one letter needs. `answers` replaces the answer to a command."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._answers = answers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.said: list[str] = []

    def run(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rwb") as wire:
            self._tell(wire, "220 here")
            while line := wire.readline().decode().strip():
                self.said.append(line)
                verb = line[:4].upper()
                usual = {"EHLO": "250 SMTPUTF8", "DATA": "354 go on", "QUIT": "221 bye"}
                self._tell(wire, self._answers.get(verb, usual.get(verb, "250 ok")))
                if verb == "DATA":
                    while (part := wire.readline().decode().rstrip("\r\n")) != ".":
                        self.said.append(part)
                    self._tell(wire, "250 taken")
                if verb == "QUIT":
                    return

    def _tell(self, wire: Any, line: str) -> None:
        wire.write(f"{line}\r\n".encode())
        wire.flush()


def _mail_server(**answers: str) -> MailServer:
    server = MailServer(answers)
    server.start()
    return server


def test_a_mail_server_is_given_the_letter() -> None:
    server = _mail_server()
    Smtp(f"smtp://127.0.0.1:{server.port}?from=us@example.org").send(LETTER)
    assert any(line.lower().startswith("rcpt to:<ann@example.org>") for line in server.said)
    assert {"From: us@example.org", "Message-ID: <0190-1@notifications>"} <= set(server.said)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        pytest.param("450 busy", Unavailable, id="not now"),
        pytest.param("550 no such mailbox", Rejected, id="never"),
    ],
)
def test_a_mail_server_says_whether_it_is_worth_another_try(
    answer: str, fault: type[Exception]
) -> None:
    server = _mail_server(RCPT=answer)
    with pytest.raises(fault):
        Smtp(f"smtp://127.0.0.1:{server.port}").send(LETTER)


def test_an_absent_mail_server_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unavailable) as away:
        Smtp(f"smtp://user:hunter2@127.0.0.1:{port}").send(LETTER)
    assert "hunter2" not in str(away.value)
    assert not isinstance(away.value.__cause__, smtplib.SMTPResponseException)


@pytest.fixture
def hook() -> Iterator[HTTPServer]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.heard = json.loads(content)  # type: ignore[attr-defined]
            self.send_response(int(self.path[1:]))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        pytest.param(204, None, id="taken"),
        pytest.param(400, Rejected, id="never"),
        pytest.param(429, Unavailable, id="too many"),
        pytest.param(500, Unavailable, id="broken"),
    ],
)
def test_a_webhook_is_told(hook: HTTPServer, status: int, fault: type[Exception] | None) -> None:
    webhook = Webhook(f"http://127.0.0.1:{hook.server_address[1]}/{status}")
    if fault is None:
        webhook.send(LETTER)
    else:
        with pytest.raises(fault):
            webhook.send(LETTER)
    assert hook.heard == {  # type: ignore[attr-defined]
        "id": "0190-1",
        "to": "ann@example.org",
        "type": "OTP",
        "text": "Your code is 123456.",
    }


def test_files_stand_in_for_what_is_not_named(tmp_path: Path) -> None:
    made = carriers(tmp_path, None, "http://hook")
    assert (type(made["EMAIL"]), type(made["SMS"])) == (MailFiles, Webhook)


@pytest.mark.service
def test_a_sealed_text_is_read_in_the_letter_alone(desk: Desk) -> None:
    desk.announce("EMAIL", letter=SEALS.close("Go on with token=abc"))
    desk.announce("EMAIL", letter=Seals("another").close("Nobody can read this"))
    desk.postman.step()
    assert [one.text for one in desk.mail.letters] == [
        "Go on with token=abc",
        "Your code is 123456.",
    ]
