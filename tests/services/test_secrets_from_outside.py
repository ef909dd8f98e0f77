"""Codes and reset tokens: who may read them, and where they must not stand."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.stores.service_keys import ServiceKeys
from infra.services import Services
from tests.cast import new_id
from tests.outside import PASSWORD, call
from tests.services.crew import until
from tests.services.town import Town

pytestmark = pytest.mark.service
NEW = "Another-2026"


def letters(folder: str, email: str) -> str:
    """All that was sent to this address."""
    found = Path(folder, "outbox").iterdir()
    return "\n".join(said for one in found if email in (said := one.read_text(errors="replace")))


def read_tables(town: Town) -> str:
    """Every text, JSON and array column of every table."""
    columns = town.stage.rows(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = 'public' and data_type in "
        "('text', 'character varying', 'jsonb', 'json', 'ARRAY')"
    )
    assert len(columns) > 30
    found = []
    for table, column in columns:
        statement = f'select coalesce(string_agg("{column}"::text, chr(10)), \'\') from "{table}"'  # noqa: S608
        found.append(str(town.stage.rows(statement)[0][0]))
    return "\n".join(found)


def read_topics(folder: str, secret: str) -> bool:
    """Whether the secret stands in any file of Kafka's or Redis's."""
    searched = [str(Path(folder, name)) for name in ("kafka", "redis", "dynamodb", "logs")]
    there = [one for one in searched if os.path.exists(one)]
    assert len(there) >= 3, there
    return subprocess.run(["grep", "-rqaF", secret, *there], check=False).returncode == 0


@pytest.fixture
def folder(environment: dict[str, str]) -> str:
    return environment["DATA_DIR"]


def test_a_reset_token_stands_in_the_letter_and_nowhere_else(town: Town, folder: str) -> None:
    (alice,) = town.people("Alice")
    screen = alice.screen()
    said = call("POST", f"{alice.base}/api/auth/password/reset-request", {"email": alice.email})
    assert said.status == 200
    until(lambda: "token=" in letters(folder, alice.email), 90, "the letter")
    town.hears(lambda: screen.toasts, "the toast")
    (token,) = set(re.findall(r"token=([\w.~-]+)", letters(folder, alice.email)))

    town.stage.settles()
    seen = json.dumps(
        [
            screen.heard,
            alice.inbox(),
            town.people("Eve")[0].call("GET", "/api/admin/db/notification-history").body,
        ]
    )
    assert token not in seen
    assert "token=" not in seen
    assert token not in read_tables(town)
    assert not read_topics(folder, token)
    assert not any(
        token in member.log.read_text(errors="replace") for member in town.stage.crew.everyone
    )

    body = {"token": token, "newPassword": NEW}
    assert call("POST", f"{alice.base}/api/auth/password/reset", body).status == 200
    for password, status in ((PASSWORD, 401), (NEW, 200)):
        log_in = {"email": alice.email, "password": password}
        assert call("POST", f"{alice.base}/api/auth/login", log_in).status == status


@contextmanager
def without(services: Services, name: str | None) -> Iterator[None]:
    if name:
        services.kill(name)
    try:
        yield
    finally:
        if name:
            services.start(name)


@pytest.mark.parametrize("away", [None, "kafka", "redis"])
def test_a_code_reaches_its_owner_and_stands_nowhere_else(
    town: Town, services: Services, folder: str, away: str | None
) -> None:
    alice, eve = town.people("Alice", "Eve")
    other = f"K{new_id()[-12:]}"
    key = service_key(town)
    screen = alice.screen()
    with without(services, away):
        alice.asks("POST", "/api/auth/otp/request", {})
        body = {"type": "OTP", "targetId": alice.id, "message": f"Code {other}", "title": other}
        assert call("POST", f"{alice.base}/api/events", body, {"X-Api-Key": key}).status == 202
        town.hears(lambda: len(screen.toasts) == 2, "the codes")
        until(lambda: other in letters(folder, alice.email), 90, "the letters")
    (code,) = re.findall(r"code is (\d{6})\b", " ".join(screen.toasts))
    assert f"Code {other}" in screen.toasts
    assert code in letters(folder, alice.email)
    empty = "select count(*) from kafka_fallback_queue where not processed"
    until(lambda: town.stage.rows(empty) == [(0,)], 60, "the fallback queue is empty")
    town.stage.settles()

    listed = json.dumps([alice.inbox(), eve.asks("GET", "/api/admin/db/notification-history")])
    for secret in (rf"\b{code}\b", other):
        assert not re.search(secret, listed)
        assert not re.search(secret, read_tables(town))
    for secret in (f"code is {code}", other):
        assert not read_topics(folder, secret)
        for member in town.stage.crew.everyone:
            assert secret not in member.log.read_text(errors="replace")
    assert alice.asks("POST", "/api/auth/otp/verify", {"code": code})["verified"] is True
    assert alice.call("POST", "/api/auth/otp/verify", {"code": code}).status == 400


def test_other_servers_resets_are_treated_alike(town: Town, folder: str) -> None:
    (alice,) = town.people("Alice")
    key = service_key(town)
    screen = alice.screen()
    body = {"type": "PASSWORD_RESET", "targetId": alice.id, "message": "Use token=SECRET-9 now"}
    said = call("POST", f"{alice.base}/api/events", body, {"X-Api-Key": key})
    assert said.status == 202
    until(lambda: "token=SECRET-9" in letters(folder, alice.email), 90, "the letter")
    town.hears(lambda: screen.toasts, "the toast")
    assert screen.toasts == ["A password reset was requested for your account."]
    town.stage.settles()
    assert "SECRET-9" not in read_tables(town)
    assert not read_topics(folder, "SECRET-9")


def service_key(town: Town) -> str:
    key = new_id()
    ServiceKeys(town.stage.engine).add(new_id(), "a test", key)
    return key
