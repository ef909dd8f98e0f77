"""Known devices: alerts about log-ins from new ones, and their own rate limits."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices
from app.domain.errors import Unavailable
from app.domain.events import Event, Kind
from tests.support.auth_client import HOME, PASSWORD, AuthClient
from tests.support.auth_client import alice as alice
from tests.support.auth_client import client as client
from tests.support.auth_client import read_critical_texts as read_critical_texts

pytestmark = pytest.mark.service
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
EDGE = CHROME + " Edg/120.0.0.0"


@pytest.mark.parametrize(
    ("user_agents", "alert_count"),
    [
        pytest.param(["Firefox"], 0, id="the device of the registration"),
        pytest.param(["Lynx", "Lynx"], 1, id="a new device twice"),
        pytest.param([CHROME.format(120), CHROME.format(141)], 1, id="an updated browser"),
        pytest.param([CHROME.format(120), EDGE.format(120)], 2, id="another browser"),
        pytest.param(["", ""], 1, id="no user agent"),
    ],
)
def test_log_in_from_a_new_device_sends_an_alert(
    alice: AuthClient,
    read_critical_texts: Callable[[Kind], list[str]],
    user_agents: list[str],
    alert_count: int,
) -> None:
    for agent in user_agents:
        alice.client.delete_cookie("device")
        assert alice.log_in(**{"User-Agent": agent}).status == 200
    assert len(set(read_critical_texts(Kind.SECURITY_ALERT))) == alert_count


def test_alert_names_browser_system_and_network_only(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    alice.log_in(**{"User-Agent": CHROME.format(120)})
    [alert_text] = read_critical_texts(Kind.SECURITY_ALERT)
    assert alert_text.startswith("New log-in: Chrome on Linux, near 127.0.0.0/24.")
    assert "Mozilla" not in alert_text


@pytest.fixture
def trusted_proxy_and_limits(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """X-Forwarded-For is trusted and rate limits are on. Set before the application is built."""
    monkeypatch.setitem(environment, "TRUSTED_PROXIES", "127.0.0.1")
    monkeypatch.setitem(environment, "RATE_LIMIT_ENABLED", "true")


def _from(address: str, agent: str) -> dict[str, str]:
    return {"X-Forwarded-For": address, "User-Agent": agent}


def test_known_device_from_a_new_network_sends_no_alert_and_an_unknown_one_does(
    trusted_proxy_and_limits: None,
    alice: AuthClient,
    read_critical_texts: Callable[[Kind], list[str]],
) -> None:
    at_home, away = (_from(address, CHROME.format(120)) for address in ("192.0.2.1", "198.51.100.1"))
    alice.client.delete_cookie("device")
    alice.log_in(**at_home)
    alice.log_in(**_from("192.0.2.200", CHROME.format(121)))  # the same /24
    assert len(read_critical_texts(Kind.SECURITY_ALERT)) == 1
    alice.log_in(**away)
    assert len(read_critical_texts(Kind.SECURITY_ALERT)) == 1

    alice.log_in(**_from("203.0.113.1", EDGE.format(120)))  # a copied cookie
    alice.client.delete_cookie("device")
    alice.log_in(**_from("203.0.113.200", CHROME.format(120)))

    assert len(read_critical_texts(Kind.SECURITY_ALERT)) == 3


def _fail_from_many_addresses(isolated_app: Flask, first: int = 0) -> list[int]:
    """Statuses of wrong log-ins from 22 addresses, more than the limit for unknown devices."""
    stranger = isolated_app.test_client()
    body = {"email": "alice@example.org", "password": "Wr0ng-one"}
    return [
        stranger.post(
            "/api/auth/login", json=body, headers=_from(f"203.0.113.{n}", CHROME.format(120))
        ).status_code
        for n in range(first, first + 22)
    ]


def test_unknown_devices_are_rate_limited_without_affecting_known_ones(
    trusted_proxy_and_limits: None, isolated_app: Flask, alice: AuthClient
) -> None:
    assert _fail_from_many_addresses(isolated_app) == [401] * 20 + [429] * 2
    body = {"email": "alice@example.org", "password": PASSWORD}

    def statuses(client: FlaskClient, **headers: str) -> int:
        return client.post("/api/auth/login", json=body, headers=headers).status_code

    new = isolated_app.test_client()
    assert statuses(new, **_from("192.0.2.9", CHROME.format(120))) == 429
    assert statuses(alice.client, **_from("192.0.2.9", CHROME.format(120))) == 200  # its cookie
    assert statuses(new, **_from("127.0.0.9", "Firefox")) == 200  # browser and network


def test_known_device_has_its_own_rate_limit(trusted_proxy_and_limits: None, alice: AuthClient) -> None:
    statuses = [alice.log_in("Wr0ng-one").status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert alice.log_in().status == 429


def test_device_cookie_of_one_account_does_not_lift_the_limit_of_another(
    trusted_proxy_and_limits: None, isolated_app: Flask, alice: AuthClient
) -> None:
    eve = isolated_app.test_client()
    body = {"email": "eve@example.org", "username": "eve", "password": PASSWORD}
    eve.post("/api/auth/register", json=body, headers=_from("203.0.113.1", CHROME.format(120)))
    _fail_from_many_addresses(isolated_app)
    response = eve.post(
        "/api/auth/login",
        json={"email": "alice@example.org", "password": PASSWORD},
        headers=_from("203.0.113.1", CHROME.format(120)),
    )
    assert response.status_code == 429


@pytest.fixture(params=["testing", "production"])
def app_mode(
    request: pytest.FixtureRequest, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Set before the application is built."""
    monkeypatch.setitem(environment, "APP_MODE", request.param)
    return str(request.param)


def test_device_cookie_is_http_only_and_same_site(app_mode: str, alice: AuthClient) -> None:
    body = {"email": "alice@example.org", "password": PASSWORD}
    response = alice.client.post("/api/auth/login", json=body, headers=HOME)
    [cookie] = [header for header in response.headers.getlist("Set-Cookie") if header.startswith("device=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ("Secure" in cookie) is (app_mode == "production")


def test_log_in_succeeds_and_keeps_the_device_unknown_if_the_alert_cannot_be_sent(
    isolated_services: SharedServices, alice: AuthClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_unavailable(event: Event) -> None:
        raise Unavailable("Redis is unavailable")

    monkeypatch.setattr(isolated_services.actions, "publish_event", raise_unavailable)
    assert alice.log_in(**{"User-Agent": "Lynx"}).status == 200
    with engine.connect() as sql:
        assert sql.execute(text("select count(*) from known_devices")).scalar() == 1
