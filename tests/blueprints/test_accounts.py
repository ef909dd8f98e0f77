"""Accounts on real PostgreSQL and Redis: staying in, being put out, getting in again."""

import json
import re
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.domain.errors import Rejected, Unavailable
from app.domain.events import Event, Kind
from app.domain.secrecy import LETTER
from app.seals import Seals
from app.web import create_app
from tests.blueprints.apart import web as web

pytestmark = pytest.mark.service
PASSWORD, OTHER = "Passw0rd", "An0ther-one"
HOME = {"User-Agent": "Firefox"}


@pytest.fixture
def client(web: Flask) -> FlaskClient:
    return web.test_client()


class Alice:
    """Somebody who has registered, and the devices they log in with."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        body = {"email": "Alice@example.org", "username": "alice", "password": PASSWORD}
        self.first = self.says("/register", body)
        self.id: str = self.first.user["id"]

    def says(self, path: str, body: Any = None, token: str | None = None, **headers: str) -> Any:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.client.post(
            f"/api/auth{path}", json=body or {}, headers=HOME | bearer | headers
        )
        return SimpleNamespace(status=answer.status_code, **(answer.json or {}))

    def logs_in(self, password: str = PASSWORD, **headers: str) -> Any:
        body = {"email": "alice@example.org", "password": password}
        return self.says("/login", body, **headers)

    def is_in(self, token: str) -> bool:
        answer = self.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code == 200

    def refreshes(self, token: str) -> Any:
        return self.says("/refresh", {"refreshToken": token})


@pytest.fixture
def alice(client: FlaskClient) -> Alice:
    return Alice(client)


@pytest.fixture
def told(real_redis: redis.Redis, client: FlaskClient) -> Callable[[Kind], list[str]]:
    """The texts that went onto the critical shard; of a sealed one the letter's."""

    def texts(kind: Kind) -> list[str]:
        entries: Any = real_redis.xrange("ingress:0")
        return [said(fields) for _, fields in entries if fields["type"] == kind.value]

    def said(fields: dict[str, str]) -> str:
        sealed = json.loads(fields.get("metadata", "{}")).get(LETTER)
        secret = client.application.extensions["parts"].settings.web.secret_key
        return Seals(secret).open(sealed) if sealed else fields["message"]

    return texts


def test_a_refresh_token_is_traded_for_the_next(alice: Alice) -> None:
    second = alice.refreshes(alice.first.refreshToken)
    assert second.status == 200
    assert alice.is_in(second.token)
    assert alice.refreshes(second.refreshToken).status == 200


def test_a_refresh_token_that_comes_twice_ends_its_session(alice: Alice) -> None:
    second = alice.refreshes(alice.first.refreshToken)
    again = alice.refreshes(alice.first.refreshToken)
    assert (again.status, again.code) == (401, "invalid_token")
    assert alice.refreshes(second.refreshToken).status == 401
    assert not alice.is_in(second.token)


def test_the_end_of_one_session_leaves_the_others(alice: Alice) -> None:
    other = alice.logs_in()
    alice.refreshes(alice.first.refreshToken)
    alice.refreshes(alice.first.refreshToken)
    assert alice.is_in(other.token)
    assert alice.refreshes(other.refreshToken).status == 200


def _wait_for_waiting(engine: Engine, many: int) -> None:
    """Until so many statements wait for a lock."""
    give_up = time.monotonic() + 5
    waiting = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
    while time.monotonic() < give_up:
        with engine.connect() as sql:
            if sql.execute(waiting).scalar_one() >= many:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for the lock")


def test_of_two_at_once_exactly_one_refreshes_and_stays_in(
    web: Flask, alice: Alice, engine: Engine
) -> None:
    answers: list[Any] = []

    def refresh() -> None:
        body = {"refreshToken": alice.first.refreshToken}
        answers.append(web.test_client().post("/api/auth/refresh", json=body))

    threads = [threading.Thread(target=refresh) for _ in range(2)]
    with engine.begin() as sql:
        sql.execute(text("select 1 from refresh_tokens for update"))
        for thread in threads:
            thread.start()
        _wait_for_waiting(engine, 2)
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    (won,) = [answer.json for answer in answers if answer.status_code == 200]
    assert alice.is_in(won["token"])


def test_a_refresh_token_that_has_run_out_is_refused(alice: Alice, engine: Engine) -> None:
    with engine.begin() as sql:
        sql.execute(text("update refresh_tokens set expires_at = now()"))
    assert alice.refreshes(alice.first.refreshToken).status == 401


def test_no_refresh_token_is_kept_as_it_is(alice: Alice, engine: Engine) -> None:
    with engine.connect() as sql:
        rows = sql.execute(text("select * from refresh_tokens")).all()
    assert len(rows) == 1
    assert alice.first.refreshToken not in str(rows)


def test_logging_out_ends_the_session_with_both_its_tokens(alice: Alice) -> None:
    assert alice.says("/logout", token=alice.first.token).status == 200
    assert not alice.is_in(alice.first.token)
    assert alice.refreshes(alice.first.refreshToken).status == 401


def test_logging_out_with_somebody_elses_refresh_token_leaves_them_in(alice: Alice) -> None:
    body = {"email": "bob@example.org", "username": "bob", "password": PASSWORD}
    bob = alice.says("/register", body)
    alice.says("/logout", {"refreshToken": alice.first.refreshToken}, token=bob.token)
    assert alice.is_in(alice.first.token)


def test_logging_out_everywhere_ends_every_session(alice: Alice) -> None:
    other = alice.logs_in()
    assert alice.says("/logout-all", token=other.token).status == 200
    assert not alice.is_in(alice.first.token)
    assert not alice.is_in(other.token)


def _another_process(web: Flask) -> Flask:
    return create_app(web.extensions["parts"])


def test_another_process_learns_of_it_at_its_next_look(web: Flask, alice: Alice) -> None:
    there = _another_process(web)
    with there.app_context():
        tokens = there.extensions["tokens"]
        tokens.read(alice.first.token)
        alice.says("/logout", token=alice.first.token)
        there.extensions["revocations"].look()
        with pytest.raises(Rejected):
            tokens.read(alice.first.token)


def test_the_token_of_a_removed_account_is_refused(
    web: Flask, alice: Alice, engine: Engine
) -> None:
    with web.app_context():
        claims = web.extensions["tokens"].read(alice.first.token)
        with engine.begin() as sql:
            sql.execute(text("delete from users"))
        web.extensions["revocations"].look()
        assert web.extensions["tokens"].over(claims)


def test_a_changed_password_ends_all_other_sessions(
    alice: Alice, told: Callable[[Kind], list[str]]
) -> None:
    other = alice.logs_in()
    body = {"currentPassword": PASSWORD, "newPassword": OTHER}
    assert alice.says("/password", body, token=other.token).status == 200
    assert (alice.is_in(alice.first.token), alice.is_in(other.token)) == (False, True)
    assert (alice.logs_in().status, alice.logs_in(OTHER).status) == (401, 200)
    assert ["password was changed" in one for one in told(Kind.SECURITY_ALERT)] == [True]


@pytest.mark.parametrize(
    ("current", "new", "code"),
    [
        pytest.param("Wr0ng-one", OTHER, "wrong_password", id="who does not know the old one"),
        pytest.param(PASSWORD, "short", "invalid", id="a new one against the rules"),
    ],
)
def test_a_password_is_not_changed_for(alice: Alice, current: str, new: str, code: str) -> None:
    body = {"currentPassword": current, "newPassword": new}
    answer = alice.says("/password", body, token=alice.first.token)
    assert (answer.status, answer.code) == (400, code)
    assert alice.logs_in().status == 200


def _reset_token(alice: Alice, told: Callable[[Kind], list[str]]) -> str:
    alice.says("/password/reset-request", {"email": "alice@example.org"})
    found = re.search(r"token=(\S+)", told(Kind.PASSWORD_RESET)[-1])
    assert found
    return found[1]


def test_a_reset_token_lets_in_once_and_puts_everybody_out(
    alice: Alice, told: Callable[[Kind], list[str]]
) -> None:
    body = {"token": _reset_token(alice, told), "newPassword": OTHER}
    assert alice.says("/password/reset", body).status == 200
    assert alice.logs_in(OTHER).status == 200
    assert not alice.is_in(alice.first.token)
    assert alice.says("/password/reset", body).status == 400


def test_a_newer_reset_token_voids_the_older(
    alice: Alice, told: Callable[[Kind], list[str]]
) -> None:
    older = _reset_token(alice, told)
    _reset_token(alice, told)
    answer = alice.says("/password/reset", {"token": older, "newPassword": OTHER})
    assert (answer.status, answer.code) == (400, "invalid_reset_token")


def test_asking_for_a_reset_tells_nothing_of_the_account(
    alice: Alice, told: Callable[[Kind], list[str]]
) -> None:
    known = alice.says("/password/reset-request", {"email": "alice@example.org"})
    unknown = alice.says("/password/reset-request", {"email": "nobody@example.org"})
    assert known == unknown
    assert len(told(Kind.PASSWORD_RESET)) == 1


def _code(alice: Alice, told: Callable[[Kind], list[str]]) -> str:
    assert alice.says("/otp/request", token=alice.first.token).status == 200
    found = re.search(r"\b\d{6}\b", told(Kind.OTP)[-1])
    assert found
    return found[0]


def test_a_code_is_good_once(alice: Alice, told: Callable[[Kind], list[str]]) -> None:
    body = {"code": _code(alice, told)}
    assert alice.says("/otp/verify", body, token=alice.first.token).status == 200
    assert alice.says("/otp/verify", body, token=alice.first.token).status == 400


def test_after_five_wrong_tries_the_right_code_is_too_late(
    alice: Alice, told: Callable[[Kind], list[str]]
) -> None:
    code = _code(alice, told)
    wrong = {"code": "000000" if code != "000000" else "111111"}
    for _ in range(5):
        assert alice.says("/otp/verify", wrong, token=alice.first.token).status == 400
    assert alice.says("/otp/verify", {"code": code}, token=alice.first.token).status == 400


def test_the_table_holds_no_code(
    alice: Alice, engine: Engine, told: Callable[[Kind], list[str]]
) -> None:
    code = _code(alice, told)
    with engine.connect() as sql:
        rows = sql.execute(text("select * from one_time_secrets")).mappings().all()
    assert rows
    assert code not in [str(value) for row in rows for value in row.values()]


CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/{}.0.0.0 Safari/537.36"
)
EDGE = CHROME + " Edg/120.0.0.0"


@pytest.mark.parametrize(
    ("agents", "alerts"),
    [
        pytest.param(["Firefox"], 0, id="from where one registered"),
        pytest.param(["Lynx", "Lynx"], 1, id="from elsewhere, and only the first time"),
        pytest.param([CHROME.format(120), CHROME.format(141)], 1, id="an update is no new browser"),
        pytest.param([CHROME.format(120), EDGE.format(120)], 2, id="another browser"),
        pytest.param(["", ""], 1, id="without a name"),
    ],
)
def test_a_log_in_from_a_new_place_is_told(
    alice: Alice, told: Callable[[Kind], list[str]], agents: list[str], alerts: int
) -> None:
    for agent in agents:
        alice.client.delete_cookie("device")
        assert alice.logs_in(**{"User-Agent": agent}).status == 200
    assert len(set(told(Kind.SECURITY_ALERT))) == alerts


def test_an_alert_names_browser_system_and_network_and_nothing_of_the_header(
    alice: Alice, told: Callable[[Kind], list[str]]
) -> None:
    alice.logs_in(**{"User-Agent": CHROME.format(120)})
    [said] = told(Kind.SECURITY_ALERT)
    assert said.startswith("New log-in: Chrome on Linux, near 127.0.0.0/24.")
    assert "Mozilla" not in said


@pytest.fixture
def roaming(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses are as X-Forwarded-For says, and limits hold: before `web` is made."""
    monkeypatch.setitem(environment, "TRUSTED_PROXIES", "127.0.0.1")
    monkeypatch.setitem(environment, "RATE_LIMIT_ENABLED", "true")


def _from(address: str, agent: str) -> dict[str, str]:
    return {"X-Forwarded-For": address, "User-Agent": agent}


def test_a_device_that_moves_is_no_news_by_its_cookie_and_one_without_it_is(
    roaming: None, alice: Alice, told: Callable[[Kind], list[str]]
) -> None:
    at_home, away = (_from(one, CHROME.format(120)) for one in ("192.0.2.1", "198.51.100.1"))
    alice.client.delete_cookie("device")
    alice.logs_in(**at_home)
    alice.logs_in(**_from("192.0.2.200", CHROME.format(121)))  # the same /24
    assert len(told(Kind.SECURITY_ALERT)) == 1
    alice.logs_in(**away)
    assert len(told(Kind.SECURITY_ALERT)) == 1

    alice.logs_in(**_from("203.0.113.1", EDGE.format(120)))  # a copied cookie
    alice.client.delete_cookie("device")
    alice.logs_in(**_from("203.0.113.200", CHROME.format(120)))

    assert len(told(Kind.SECURITY_ALERT)) == 3


def _strangers_fail(web: Flask, first: int = 0) -> list[int]:
    """Wrong passwords from everywhere, more than the account takes from unknown devices."""
    stranger = web.test_client()
    body = {"email": "alice@example.org", "password": "Wr0ng-one"}
    return [
        stranger.post(
            "/api/auth/login", json=body, headers=_from(f"203.0.113.{n}", CHROME.format(120))
        ).status_code
        for n in range(first, first + 22)
    ]


def test_strangers_shut_out_strangers_and_not_a_device_that_logged_in_before(
    roaming: None, web: Flask, alice: Alice
) -> None:
    assert _strangers_fail(web) == [401] * 20 + [429] * 2
    body = {"email": "alice@example.org", "password": PASSWORD}

    def statuses(client: FlaskClient, **headers: str) -> int:
        return client.post("/api/auth/login", json=body, headers=headers).status_code

    new = web.test_client()
    assert statuses(new, **_from("192.0.2.9", CHROME.format(120))) == 429
    assert statuses(alice.client, **_from("192.0.2.9", CHROME.format(120))) == 200  # its cookie
    assert statuses(new, **_from("127.0.0.9", "Firefox")) == 200  # browser and network


def test_a_known_device_is_counted_by_itself(roaming: None, alice: Alice) -> None:
    tries = [alice.logs_in("Wr0ng-one").status for _ in range(6)]
    assert tries == [401] * 5 + [429]
    assert alice.logs_in().status == 429


def test_the_cookie_of_one_account_is_nothing_to_another(
    roaming: None, web: Flask, alice: Alice
) -> None:
    eve = web.test_client()
    body = {"email": "eve@example.org", "username": "eve", "password": PASSWORD}
    eve.post("/api/auth/register", json=body, headers=_from("203.0.113.1", CHROME.format(120)))
    _strangers_fail(web)
    answer = eve.post(
        "/api/auth/login",
        json={"email": "alice@example.org", "password": PASSWORD},
        headers=_from("203.0.113.1", CHROME.format(120)),
    )
    assert answer.status_code == 429


@pytest.fixture(params=["testing", "production"])
def mode(
    request: pytest.FixtureRequest, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Before `web` is made."""
    monkeypatch.setitem(environment, "APP_MODE", request.param)
    return str(request.param)


def test_the_cookie_of_a_known_device_is_out_of_reach_of_scripts_and_other_sites(
    mode: str, alice: Alice
) -> None:
    body = {"email": "alice@example.org", "password": PASSWORD}
    answer = alice.client.post("/api/auth/login", json=body, headers=HOME)
    [cookie] = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("device=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ("Secure" in cookie) is (mode == "production")


def test_who_has_just_registered_can_be_followed_without_a_look_into_a_table(
    alice: Alice, real_redis: redis.Redis
) -> None:
    assert real_redis.get(f"follow:count:{alice.id}") == "0"


def test_a_page_session_ends_with_its_log_in(web: Flask, alice: Alice) -> None:
    browser = web.test_client()
    form = browser.get("/login").get_data(as_text=True)
    csrf = re.search(r'name="csrf" value="([^"]+)"', form)
    assert csrf
    fields = {"csrf": csrf[1], "email": "alice@example.org", "password": PASSWORD}
    assert browser.post("/login", data=fields).status_code == 303
    assert browser.get("/notifications").status_code == 200
    alice.says("/logout-all", token=alice.first.token)
    assert browser.get("/notifications").headers["Location"].startswith("/login")


def test_while_redis_is_away_a_log_in_works_and_tells_later(
    web: Flask, alice: Alice, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(event: Event) -> None:
        raise Unavailable("Redis is away")

    monkeypatch.setattr(web.extensions["parts"].actions, "raise_event", away)
    assert alice.logs_in(**{"User-Agent": "Lynx"}).status == 200
    with engine.connect() as sql:
        assert sql.execute(text("select count(*) from known_places")).scalar() == 1
