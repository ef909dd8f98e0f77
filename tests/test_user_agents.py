"""Browsers and systems by family, bounded in time and in what they may say."""

import time

import pytest

from app.addresses import network_of
from app.devices import Device, Devices
from app.user_agents import MAX_LENGTH, UserAgent, prepare, user_agent_of

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/{}.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
)


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (CHROME.format(120), "Chrome on Linux"),
        (IPHONE, "Mobile Safari on iOS"),
        ("Firefox", "an unknown browser on an unknown system"),
        ("<b>Call 555-1234</b>", "an unknown browser on an unknown system"),
        ("", "an unknown browser on an unknown system"),
    ],
)
def test_an_agent_is_named_by_its_families_and_never_by_its_text(header: str, shown: str) -> None:
    assert str(user_agent_of(header)) == shown


def test_an_update_is_the_same_browser_and_another_program_is_another() -> None:
    assert user_agent_of(CHROME.format(120)) == user_agent_of(CHROME.format(141))
    assert user_agent_of(CHROME.format(120)) != user_agent_of(IPHONE)
    assert user_agent_of("robot/1.0") == user_agent_of("robot/2.0") != user_agent_of("other/1.0")


def test_no_header_names_no_browser() -> None:
    assert user_agent_of(" ") == UserAgent("", "", False)


@pytest.mark.parametrize(
    "header", ["x" * 100_000, "(" * 9_000, "Mozilla/5.0 " * 5_000, "1." * 9_000]
)
def test_a_hostile_header_is_cut_and_costs_little(header: str) -> None:
    prepare()
    began = time.process_time()
    user_agent_of(header)
    assert time.process_time() - began < 0.5
    assert user_agent_of(header) == user_agent_of(header[:MAX_LENGTH])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::9", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_is_near_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


KEY = "a test's secret that is long enough for HS256"
LAPTOP = Device("7", "Chrome", "Linux")


def test_a_cookie_names_the_device_of_each_account_that_logged_in() -> None:
    devices = Devices(KEY)
    cookie = devices.remembered("", "ann", LAPTOP)
    cookie = devices.remembered(cookie, "ben", Device("8", "Chrome", "Linux"))

    assert devices.of(cookie, "ann") == LAPTOP
    assert devices.of(cookie, "cem") is None


def test_a_cookie_that_another_signed_or_changed_names_nobody() -> None:
    forged = Devices("another secret of an attacker's own").remembered("", "ann", LAPTOP)
    own = Devices(KEY).remembered("", "ann", LAPTOP)

    for cookie in (forged, own[:-1], "x" + own, "", "x" * 100_000):
        assert Devices(KEY).of(cookie, "ann") is None


def test_a_cookie_keeps_the_accounts_that_logged_in_last() -> None:
    devices, cookie = Devices(KEY), ""
    for name in ("ann", "ben", "cem", "dan", "eve", "ann", "fay"):
        cookie = devices.remembered(cookie, name, LAPTOP)

    known = [one for one in ("ann", "ben", "cem", "dan", "eve", "fay") if devices.of(cookie, one)]
    assert known == ["ann", "cem", "dan", "eve", "fay"]
