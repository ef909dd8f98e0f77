"""Logging out: no tab of the browser keeps showing private content."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.console_errors import PageErrorMonitor
from tests.support.user import BrowserUser

LOG_IN_URL = re.compile(r"/login(\?|$)")


@pytest.fixture
def ada(register_user: RegisterUser) -> BrowserUser:
    ada = register_user("Ada")
    ada.create_post("Something private enough")
    return ada


def open_live_page(page: Page, path: str) -> Page:
    page.goto(path)
    expect(page.locator("html[data-live=yes]")).to_be_visible()
    return page


def log_out(page: Page) -> None:
    page.locator("summary", has_text="A").first.click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(LOG_IN_URL)


def test_log_out_in_one_tab_sends_the_others_to_the_log_in_page(
    open_page: OpenPage, ada: BrowserUser
) -> None:
    first_tab = open_live_page(open_page(ada), "/")
    other_tabs = [open_live_page(first_tab.context.new_page(), path) for path in ("/notifications", "/")]

    log_out(first_tab)

    for tab in other_tabs:
        expect(tab).to_have_url(LOG_IN_URL)
        expect(tab.get_by_text("Something private enough")).to_have_count(0)


def test_page_leaves_at_once_when_its_session_is_ended_elsewhere(
    open_page: OpenPage, ada: BrowserUser
) -> None:
    page = open_live_page(open_page(ada), "/notifications")

    ada.request_ok("POST", "/api/auth/logout-all", {})

    expect(page).to_have_url("/login?next=%2Fnotifications")


def test_action_after_the_session_ended_leads_to_the_log_in_page(
    open_page: OpenPage, ada: BrowserUser, page_errors: PageErrorMonitor
) -> None:
    """The page has neither a socket nor a message from another tab."""
    page_errors.expect_errors("401", "403", "socket.io", "WebSocket")
    page = open_page(ada)
    page.route("**/socket.io/**", lambda route: route.abort())
    page.add_init_script("delete window.BroadcastChannel; delete window.WebSocket;")
    page.add_init_script("window.BroadcastChannel = class extends EventTarget { postMessage() {} }")
    page.goto("/")
    ada.request_ok("POST", "/api/auth/logout-all", {})

    page.get_by_role("button", name="Like").first.click()

    expect(page).to_have_url(LOG_IN_URL)


def test_back_button_after_log_out_shows_nothing_private(open_page: OpenPage, ada: BrowserUser) -> None:
    page = open_live_page(open_page(ada), "/bookmarks")
    log_out(page)

    page.go_back()

    expect(page).to_have_url(LOG_IN_URL)
    expect(page.get_by_text("Something private enough")).to_have_count(0)


def test_tab_of_the_previous_user_leaves_when_another_user_logs_in(
    open_page: OpenPage, ada: BrowserUser, register_user: RegisterUser
) -> None:
    """The tab did not receive the message about the log-out."""
    ben = register_user("Ben")
    tab = open_live_page(open_page(ada), "/preferences")
    tab.context.clear_cookies()
    tab.context.add_cookies(ben.cookies)  # type: ignore[arg-type]

    open_live_page(tab.context.new_page(), "/")

    expect(tab.locator("meta[name=user-id]")).to_have_attribute("content", ben.id)
    expect(tab).to_have_url("/preferences")
