"""User agents by browser and system family, with limits; cookies of known devices."""

import time

import pytest

from app.accounts.known_devices import KnownDevice, KnownDeviceCookies
from app.accounts.user_agents import MAX_HEADER_LENGTH, UserAgent, parse_user_agent, warm_up_parser
from app.clients.client_ip import approximate_network

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (CHROME.format(120), "Chrome on Linux"),
        (IPHONE, "Mobile Safari on iOS"),
        ("Firefox", "an unknown browser on an unknown system"),
        ("<b>Call 555-1234</b>", "an unknown browser on an unknown system"),
        ("", "an unknown browser on an unknown system"),
    ],
)
def test_user_agent_is_described_by_its_families_only(header: str, text: str) -> None:
    assert str(parse_user_agent(header)) == text


def test_browser_update_is_the_same_device_and_another_program_is_not() -> None:
    assert parse_user_agent(CHROME.format(120)) == parse_user_agent(CHROME.format(141))
    assert parse_user_agent(CHROME.format(120)) != parse_user_agent(IPHONE)
    assert parse_user_agent("robot/1.0") == parse_user_agent("robot/2.0") != parse_user_agent("other/1.0")


def test_missing_header_names_no_browser() -> None:
    assert parse_user_agent(" ") == UserAgent("", "", False)


@pytest.mark.parametrize("header", ["x" * 100_000, "(" * 9_000, "Mozilla/5.0 " * 5_000, "1." * 9_000])
def test_hostile_header_is_truncated_quickly(header: str) -> None:
    warm_up_parser()
    started_at = time.process_time()
    parse_user_agent(header)
    assert time.process_time() - started_at < 0.5
    assert parse_user_agent(header) == parse_user_agent(header[:MAX_HEADER_LENGTH])


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
def test_address_is_reduced_to_its_network(address: str, network: str) -> None:
    assert approximate_network(address) == network


SECRET_KEY = "a test's secret that is long enough for HS256"
LAPTOP = KnownDevice("7", "Chrome", "Linux")


def test_cookie_names_the_device_of_each_account_that_logged_in() -> None:
    devices = KnownDeviceCookies(SECRET_KEY)
    cookie = devices.build_cookie_with_device("", "ann", LAPTOP)
    cookie = devices.build_cookie_with_device(cookie, "ben", KnownDevice("8", "Chrome", "Linux"))

    assert devices.find_device(cookie, "ann") == LAPTOP
    assert devices.find_device(cookie, "cem") is None


def test_cookie_with_invalid_signature_names_no_device() -> None:
    forged = KnownDeviceCookies("another secret of an attacker's own").build_cookie_with_device(
        "", "ann", LAPTOP
    )
    valid = KnownDeviceCookies(SECRET_KEY).build_cookie_with_device("", "ann", LAPTOP)

    for cookie in (forged, valid[:-1], "x" + valid, "", "x" * 100_000):
        assert KnownDeviceCookies(SECRET_KEY).find_device(cookie, "ann") is None


def test_cookie_keeps_the_most_recent_accounts() -> None:
    devices, cookie = KnownDeviceCookies(SECRET_KEY), ""
    for name in ("ann", "ben", "cem", "dan", "eve", "ann", "fay"):
        cookie = devices.build_cookie_with_device(cookie, name, LAPTOP)

    known_accounts = [
        name for name in ("ann", "ben", "cem", "dan", "eve", "fay") if devices.find_device(cookie, name)
    ]
    assert known_accounts == ["ann", "cem", "dan", "eve", "fay"]
