"""E-mail by a real SMTP server and real processes: what goes wrong with one message concerns no
other."""

import json
import logging
import time
from collections.abc import Iterator

import pytest
from kafka.admin import OffsetSpec
from sqlalchemy import text

from app.domain.events import Event, Kind
from app.offsets import asking
from app.stores.memberships import Wish
from tests.cast import new_id
from tests.mail_server import DROP_AFTER_DATA, HANG, HANG_AFTER_DATA, MailServer
from tests.services.crew import START_SECONDS, until
from tests.services.stage import Stage
from workers.mail_consumer import LETTERS_GROUP
from workers.mailer import MOST_AT_A_TIME

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.service, pytest.mark.slow]
BUSY_SECONDS = 20.0
"""For what takes one or two seconds on a machine that has nothing else to do."""


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def mailing(stage: Stage, server: MailServer) -> Iterator[Stage]:
    """The deliverer sends to this server."""
    settings = {"SMTP_URL": server.url, "MAIL_FROM": "Chime <hello@chime.example.org>"}
    member = stage.crew.replace("deliverer", **settings)
    until(lambda: stage.crew.lives(member), START_SECONDS, "the deliverer lives")
    yield stage
    stage.crew.members["deliverer"].kill()  # it may wait for a server that hangs
    stage.crew.hire("deliverer")


def address(user_id: str) -> str:
    return f"{user_id}@example.org"


def alert(stage: Stage, user_id: str) -> None:
    event = Event(new_id(), Kind.SECURITY_ALERT, user_id, message="Was this you?")
    stage.parts.actions.raise_event(event)


def follow_by_mail(stage: Stage, recipients: list[str], fan: str) -> None:
    """Each of them gets an ordinary e-mail, by way of Redis and Kafka."""
    wants = json.dumps({Kind.FOLLOW.value: {"email": True}})
    with stage.engine.begin() as sql:
        sql.execute(
            text(
                "insert into notification_preferences (user_id, matrix) "
                "select id, cast(:wants as jsonb) from users where id = any(cast(:ids as uuid[])) "
                "on conflict (user_id) do update set matrix = excluded.matrix"
            ),
            {"wants": wants, "ids": recipients},
        )
    for one in recipients:
        stage.parts.actions.follow(fan, one, Wish.ON)


def states(stage: Stage) -> dict[str, str]:
    rows = stage.rows("select user_id::text, status from outgoing_messages where channel = 'EMAIL'")
    return {str(who): str(status) for who, status in rows}


def lag(stage: Stage) -> int:
    servers = stage.parts.settings.addresses.kafka_bootstrap_servers
    with asking(servers) as admin:
        committed = admin.list_group_offsets({LETTERS_GROUP: None})[LETTERS_GROUP]
        ends = admin.list_partition_offsets(dict.fromkeys(committed, OffsetSpec.LATEST))
    return sum(ends[place].offset - committed[place].offset for place in committed)


def test_one_recipient_among_many_delays_nobody(mailing: Stage, server: MailServer) -> None:
    """A server that refuses, defers, hangs and drops, for one recipient each."""
    rules = (
        "550 5.1.1 No such user",
        "450 4.1.2 Domain not found",
        HANG,
        HANG_AFTER_DATA,
        DROP_AFTER_DATA,
    )
    bad, good = mailing.people(len(rules)), mailing.people(25)
    server.rules = dict(zip(map(address, bad), rules, strict=True))
    began = time.monotonic()
    for one in [*bad, *good]:
        alert(mailing, one)
    until(lambda: len(server.accepted) == len(good), BUSY_SECONDS, "everybody else's e-mail")

    log.info(f"25 e-mails beside five that fail: {time.monotonic() - began:.1f} s")
    assert set(server.accepted) == {address(one) for one in good}
    until(lambda: states(mailing)[bad[0]] == "failed", BUSY_SECONDS, "the refused one's end")
    [(reason,)] = mailing.rows("select reason from dead_letters where origin = 'outgoing_messages'")
    assert reason == "EMAIL: 550 5.1.1 No such user at RCPT"
    assert {states(mailing)[one] for one in bad[1:]} == {"waiting"}
    [mail] = server.accepted[address(good[0])]
    assert str(mail["Message-ID"]).endswith("@chime.example.org>")


def test_ordinary_mail_that_hangs_delays_no_critical_mail_and_no_poll(
    mailing: Stage, server: MailServer
) -> None:
    fan, urgent, *crowd = mailing.people(2 + MOST_AT_A_TIME + 4)
    server.rules = dict.fromkeys(map(address, crowd), HANG)
    follow_by_mail(mailing, crowd, fan)
    until(lambda: len(server.tries) >= MOST_AT_A_TIME, 2 * BUSY_SECONDS, "all places taken")

    began = time.monotonic()
    alert(mailing, urgent)
    until(lambda: server.accepted[address(urgent)], BUSY_SECONDS, "the critical e-mail")
    log.info(f"a critical e-mail while all ordinary ones hang: {time.monotonic() - began:.1f} s")

    more = mailing.people(3)
    follow_by_mail(mailing, more, fan)
    until(lambda: set(more) <= set(states(mailing)), BUSY_SECONDS, "rows of the later ones")
    until(lambda: lag(mailing) == 0, BUSY_SECONDS, "an empty ready topic")


def test_who_dies_between_sending_and_settling_sends_the_same_once_more(
    mailing: Stage, server: MailServer
) -> None:
    (ann,) = mailing.people(1)
    # The text message is sent first: it is a file.
    settings = {"SMTP_URL": server.url, "FAILPOINT": "mailer.sent:2"}
    member = mailing.crew.replace("deliverer", **settings)
    until(lambda: mailing.crew.lives(member), START_SECONDS, "the deliverer lives")
    alert(mailing, ann)
    member.dies(BUSY_SECONDS)
    assert len(server.raw[address(ann)]) == 1
    assert states(mailing)[ann] == "waiting"

    mailing.crew.hire("deliverer", SMTP_URL=server.url)
    with mailing.engine.begin() as sql:  # the claim of the dead one runs out
        sql.execute(text("update outgoing_messages set due_at = now() where status = 'waiting'"))
    until(lambda: states(mailing)[ann] == "delivered", 2 * START_SECONDS, "the e-mail is settled")
    first, second = server.raw[address(ann)]
    assert first == second
