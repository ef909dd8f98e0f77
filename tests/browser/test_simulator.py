"""The simulator below a post: its hints, and the tracked events that it sends."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import (
    DISPLAY_PROFILES,
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    save_screenshot,
)
from tests.support.admin import admin as admin
from tests.support.admin import long_windows as long_windows
from tests.support.user import BrowserUser

SIMULATOR_SELECTOR = "[data-simulator]"
AGGREGATOR_START_TIMEOUT_MS = 90_000
"""A restarted aggregator joins its consumer groups within seconds, on an idle machine."""


def _open_simulator(page: Page, post_id: str) -> None:
    page.goto(f"/posts/{post_id}")
    page.click(f"{SIMULATOR_SELECTOR} summary")


def _expect_events(page: Page, status: str, count: int) -> None:
    rows = page.locator(f"[data-list] [data-status={status}]")
    expect(rows).to_have_count(count, timeout=AGGREGATOR_START_TIMEOUT_MS)


def test_eight_simulated_likes_announce_three_at_once_and_five_on_close(
    register_user: RegisterUser, open_page: OpenPage, admin: BrowserUser, long_windows: None
) -> None:
    ada = register_user("Ada")
    page = open_page(ada)
    _open_simulator(page, ada.create_post("Hello"))
    page.select_option("[data-setting=kind]", "non-followers")
    page.fill("[data-setting=likes]", "8")
    page.click("[data-simulate=likes]")

    _expect_events(page, "announced", 3)
    _expect_events(page, "windowed", 5)
    expect(page.locator("[data-summary]")).to_contain_text("3 announced at once, 5 held until")
    expect(page.locator("[data-likes]")).to_have_text("8")
    admin.request_ok("POST", "/api/admin/windows/flush")

    _expect_events(page, "announced", 8)
    expect(page.locator("[data-summary]")).to_have_text(
        "3 announced at once, 5 written and announced after their window"
    )
    assert {row["aggregatedCount"] for row in ada.list_notifications()} == {8}


def test_all_simulated_comments_wait_and_cleanup_removes_the_users(
    register_user: RegisterUser, open_page: OpenPage, admin: BrowserUser, long_windows: None
) -> None:
    ada = register_user("Ada")
    page = open_page(ada)
    _open_simulator(page, ada.create_post("Hello"))
    page.fill("[data-setting=comments]", "2")
    page.click("[data-simulate=comments]")
    _expect_events(page, "windowed", 2)

    page.click("[data-simulate=cleanup]")

    expect(page.locator("[data-simulator-result]")).to_contain_text("Cleaned up")


def test_many_likes_are_sent_in_several_requests_and_the_first_are_tracked(
    register_user: RegisterUser, open_page: OpenPage
) -> None:
    ada = register_user("Ada")
    page = open_page(ada)
    _open_simulator(page, ada.create_post("Hello"))
    page.select_option("[data-setting=kind]", "non-followers")
    page.fill("[data-setting=likes]", "120")
    page.click("[data-simulate=likes]")

    expect(page.locator("[data-simulator-result]")).to_have_text("120 of 120 sent")
    expect(page.locator("[data-likes]")).to_have_text("120")
    expect(page.locator("[data-list] li")).to_have_count(50)
    expect(page.locator("[data-summary]")).to_have_text(re.compile("^Of the first 50: "))


def test_more_than_five_hundred_likes_are_not_sent(register_user: RegisterUser, open_page: OpenPage) -> None:
    ada = register_user("Ada")
    page = open_page(ada)
    _open_simulator(page, ada.create_post("Hello"))
    page.fill("[data-setting=likes]", "501")
    expect(page.locator("[data-hint=likes]")).to_have_text("1 to 500 likes")

    page.click("[data-simulate=likes]")

    expect(page.locator("[data-setting=likes]")).to_be_focused()
    expect(page.locator("[data-simulator-result]")).to_be_empty()


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_simulator_is_accessible(
    register_user: RegisterUser, open_page: OpenPage, display_profile: DisplayProfile
) -> None:
    ada = register_user("Ada")
    page = open_page(ada, display_profile=display_profile)
    _open_simulator(page, ada.create_post("Hello"))
    page.fill("[data-setting=likes]", "2")
    page.click("[data-simulate=likes]")
    _expect_events(page, "announced", 2)

    save_screenshot(page, f"simulator-{display_profile.name}", is_full_page=True)
    assert_accessible(page, SIMULATOR_SELECTOR)
    assert_no_horizontal_scroll(page)
