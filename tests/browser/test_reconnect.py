"""A page that lost its connection reconnects by itself and shows each missed notification once."""

from dataclasses import replace
from functools import partial

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text
from urllib3.exceptions import HTTPError

from harness.waiting import wait_until
from infra.services import EmbeddedServices
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.admin import live_database as live_database
from tests.support.bell_panel import (
    INBOX_SELECTOR,
    like_new_posts,
    notification_rows,
    open_inbox,
    open_panel,
    wait_until_live,
)
from tests.support.console_errors import PageErrorMonitor
from tests.support.server import WebServer
from tests.support.user import BrowserUser

RECONNECT_TIMEOUT_MS = 90_000


@pytest.fixture(autouse=True)
def expect_connection_errors(page_errors: PageErrorMonitor) -> None:
    page_errors.expect_errors("WebSocket", "Failed to load resource")


@pytest.fixture
def ben(register_user: RegisterUser) -> BrowserUser:
    return register_user("Ben")


def test_missed_notifications_are_caught_up_after_a_web_process_restart(
    page: Page,
    ada: BrowserUser,
    ben: BrowserUser,
    web_server: WebServer,
) -> None:
    wait_until_live(page)
    like_new_posts([ben], ada, 1)
    expect(page.locator("#badge")).to_have_text("1")
    other_process = web_server.processes.start_web()
    try:
        web_server.web_process.kill()
        expect(page.locator("#connection")).to_have_text("Reconnecting…")
        ada_at_other_process = replace(ada, base_url=other_process.base_url)
        like_new_posts([replace(ben, base_url=other_process.base_url)], ada_at_other_process, 7)
        wait_until(lambda: ada_at_other_process.unread_count == 8, "eight groups", 90)
        web_server.start_web()
    finally:
        other_process.kill()

    expect(page.locator("#connection")).to_have_text("Caught up, 7 new", timeout=RECONNECT_TIMEOUT_MS)
    expect(page.locator("#badge")).to_have_text("8")
    open_panel(page, 8)
    assert (
        notification_rows(page).evaluate_all(
            "rows => new Set(rows.map((row) => row.dataset.notification)).size"
        )
        == 8
    )


@pytest.mark.drill
def test_open_inbox_shows_each_missed_notification_once(
    open_page: OpenPage,
    ada: BrowserUser,
    ben: BrowserUser,
    web_server: WebServer,
) -> None:
    like_new_posts([ben], ada, 2)
    page = open_page(ada)
    wait_until(lambda: ada.unread_count == 2, "two groups", 90)
    open_inbox(page, 2)
    web_server.restart_web()
    expect(page.locator("#connection")).to_have_text("Caught up", timeout=RECONNECT_TIMEOUT_MS)
    like_new_posts([ben], ada, 3)
    expect(page.locator(f"{INBOX_SELECTOR} [data-new-items]")).to_have_text("3 new")
    page.locator(f"{INBOX_SELECTOR} [data-new-items]").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(5)


def test_notifications_are_complete_without_duplicates_after_a_redis_outage(
    page: Page,
    ada: BrowserUser,
    ben: BrowserUser,
    web_server: WebServer,
    services: EmbeddedServices,
) -> None:
    wait_until_live(page)
    post_ids = [ada.create_post(f"Post {number}") for number in range(4)]
    ben.like(post_ids[0])
    expect(page.locator("#badge")).to_have_text("1")
    services.kill("redis")
    services.start("redis")
    for post_id in post_ids[1:]:
        wait_until(partial(_try_like, ben, post_id), "the like to be accepted", 90)

    expect(page.locator("#badge")).to_have_text("4", timeout=RECONNECT_TIMEOUT_MS)
    open_panel(page, 4)
    web_server.restart_missing()


def _try_like(user: BrowserUser, post_id: str) -> bool:
    try:
        user.like(post_id)
    except (AssertionError, HTTPError):
        return False
    return True


def test_lost_history_is_shown_and_reloaded(
    page: Page,
    ada: BrowserUser,
    ben: BrowserUser,
    web_server: WebServer,
    live_database: Engine,
) -> None:
    wait_until_live(page)
    like_new_posts([ben], ada, 2)
    expect(page.locator("#badge")).to_have_text("2")
    _replace_epoch(live_database)
    web_server.restart_web()
    expect(page.locator("#connection")).to_have_text(
        "Older changes could not be recovered, reloaded", timeout=RECONNECT_TIMEOUT_MS
    )
    like_new_posts([ben], ada, 1)
    expect(page.locator("#badge")).to_have_text("3")


def _replace_epoch(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("update epochs set value = uuidv7() where name = 'client_events'"))


def test_page_sends_a_new_token_with_each_connection(
    open_page: OpenPage,
    ada: BrowserUser,
    web_server: WebServer,
) -> None:
    page = open_page(ada)
    token_requests: list[str] = []
    page.on(
        "request",
        lambda request: token_requests.append(request.url) if "/session/token" in request.url else None,
    )
    page.goto("/")
    wait_until_live(page)
    requests_before = len(token_requests)
    web_server.restart_web()
    expect(page.locator("#connection")).to_have_text("Caught up", timeout=RECONNECT_TIMEOUT_MS)
    assert len(token_requests) > requests_before
