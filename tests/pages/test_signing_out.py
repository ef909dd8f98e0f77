"""The end of a session: no tab of the browser keeps what was private."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Meet, Visit
from tests.pages.person import Person
from tests.pages.watch import Watch

LOG_IN = re.compile(r"/login(\?|$)")


@pytest.fixture
def ada(person: Meet) -> Person:
    ada = person("Ada")
    ada.posts("Something private enough")
    return ada


def live(page: Page, path: str) -> Page:
    page.goto(path)
    expect(page.locator("html[data-live=yes]")).to_be_visible()
    return page


def log_out(page: Page) -> None:
    page.locator("summary", has_text="A").first.click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(LOG_IN)


def test_a_log_out_in_one_tab_sends_the_others_to_the_log_in_page(
    visit: Visit, ada: Person
) -> None:
    first = live(visit(ada), "/")
    others = [live(first.context.new_page(), path) for path in ("/notifications", "/")]

    log_out(first)

    for tab in others:
        expect(tab).to_have_url(LOG_IN)
        expect(tab.get_by_text("Something private enough")).to_have_count(0)


def test_a_session_that_ends_elsewhere_ends_on_the_page_at_once(visit: Visit, ada: Person) -> None:
    page = live(visit(ada), "/notifications")

    ada.call("POST", "/api/auth/logout-all", {})

    expect(page).to_have_url("/login?next=%2Fnotifications")


def test_what_one_tries_after_the_end_of_the_session_leads_to_the_log_in_page(
    visit: Visit, ada: Person, watch: Watch
) -> None:
    """Without a socket and without another tab's word."""
    watch.forgive("401", "403", "socket.io", "WebSocket")
    page = visit(ada)
    page.route("**/socket.io/**", lambda route: route.abort())
    page.add_init_script("delete window.BroadcastChannel; delete window.WebSocket;")
    page.add_init_script("window.BroadcastChannel = class extends EventTarget { postMessage() {} }")
    page.goto("/")
    ada.call("POST", "/api/auth/logout-all", {})

    page.get_by_role("button", name="Like").first.click()

    expect(page).to_have_url(LOG_IN)


def test_going_back_after_a_log_out_shows_nothing_private(visit: Visit, ada: Person) -> None:
    page = live(visit(ada), "/")
    log_out(page)

    page.go_back()

    expect(page).to_have_url(LOG_IN)
    expect(page.get_by_text("Something private enough")).to_have_count(0)


def test_a_tab_of_somebody_else_is_left_when_another_person_logs_in(
    visit: Visit, ada: Person, person: Meet
) -> None:
    """As if the word of the log-out had not reached it."""
    ben = person("Ben")
    tab = live(visit(ada), "/preferences")
    tab.context.clear_cookies()
    tab.context.add_cookies(ben.cookies)  # type: ignore[arg-type]

    live(tab.context.new_page(), "/")

    expect(tab.locator("meta[name=me]")).to_have_attribute("content", ben.id)
    expect(tab).to_have_url("/preferences")
