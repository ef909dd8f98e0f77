"""Snoozing a notification: it leaves the list and the badge, and returns when its time has come."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.bell_panel import (
    INBOX_SELECTOR,
    PANEL_SELECTOR,
    like_new_posts,
    notification_rows,
    open_inbox,
    open_panel,
    record_toasts,
    recorded_toast_texts,
    wait_until_live,
)
from tests.support.console_errors import PageErrorMonitor
from tests.support.user import BrowserUser

CHOICES_SCRIPT = """async (now) => {
  const { snoozeChoices } = await import("/static/notifications/snooze.js");
  const pad = (number) => String(number).padStart(2, "0");
  return snoozeChoices(new Date(now)).map(({ label, at }) =>
    `${label} ${at.getMonth() + 1}-${pad(at.getDate())} ${pad(at.getHours())}:${pad(at.getMinutes())}`);
}"""


@pytest.fixture
def ada(register_user: RegisterUser) -> BrowserUser:
    """A user with three unread groups."""
    ada, ben = register_user("Ada"), register_user("Ben")
    like_new_posts([ben], ada, 3)
    wait_until(lambda: ada.unread_count == 3, "three groups", 30)
    return ada


@pytest.fixture
def feed_page(open_page: OpenPage, ada: BrowserUser) -> Page:
    page = open_page(ada)
    page.goto("/")
    wait_until_live(page)
    return page


def snooze_row(page: Page, index: int, choice: str, container: str = PANEL_SELECTOR) -> str:
    """Returns the id of the row."""
    row = notification_rows(page, container).nth(index)
    row_id = str(row.get_attribute("data-notification"))
    row.get_by_role("button", name="Snooze").click()
    row.get_by_role("group", name="Snooze until").get_by_role("button", name=choice).click()
    return row_id


@pytest.mark.parametrize(
    ("local_time", "expected"),
    [
        pytest.param(
            "2026-06-03T10:00:00",
            ["Tonight 6-03 18:00", "Tomorrow 6-04 09:00", "Next week 6-08 09:00"],
            id="on a Wednesday morning",
        ),
        pytest.param(
            "2026-06-01T17:00:00",
            ["Tonight 6-01 18:00", "Tomorrow 6-02 09:00", "Next week 6-08 09:00"],
            id="on a Monday at five",
        ),
        pytest.param(
            "2026-06-07T22:30:00",
            ["In 3 hours 6-08 01:30", "Tomorrow 6-08 09:00"],
            id="on a Sunday night",
        ),
        pytest.param(
            "2026-10-24T17:01:00",
            ["In 3 hours 10-24 20:01", "Tomorrow 10-25 09:00", "Next week 10-26 09:00"],
            id="before the clocks go back",
        ),
    ],
)
def test_choices_are_in_the_time_zone_of_the_reader(page: Page, local_time: str, expected: list[str]) -> None:
    assert page.evaluate(CHOICES_SCRIPT, local_time) == expected


def test_snoozed_row_is_in_its_own_tab_and_can_be_moved_back(feed_page: Page, ada: BrowserUser) -> None:
    panel = open_panel(feed_page, 3)
    row_id = snooze_row(feed_page, 1, "Tomorrow")

    expect(notification_rows(feed_page)).to_have_count(2)
    expect(feed_page.locator("#badge")).to_have_text("2")
    expect(panel.locator("[data-tab=all] [data-count]")).to_have_text("2")
    [snoozed] = ada.list_notifications(snoozed="true")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert (snoozed["id"], snoozed["snoozedUntil"][:8]) == (row_id, f"{tomorrow:%Y-%m-}")

    panel.locator("[data-tab=snoozed]").click()
    expect(notification_rows(feed_page)).to_have_count(1)
    expect(notification_rows(feed_page)).to_contain_text("until")
    notification_rows(feed_page).get_by_role("button", name="Move back to the list").click()
    expect(panel.locator("[data-state]")).to_have_text("Nothing is snoozed.")
    expect(feed_page.locator("#badge")).to_have_text("3")
    panel.locator("[data-tab=all]").click()
    expect(notification_rows(feed_page)).to_have_count(3)


def test_snooze_can_be_undone_in_place(feed_page: Page) -> None:
    panel = open_panel(feed_page, 3)
    row_id = snooze_row(feed_page, 1, "Tomorrow")
    expect(panel.locator("[data-undo]")).to_contain_text("Snoozed until")

    panel.get_by_role("button", name="Undo").click()

    expect(notification_rows(feed_page)).to_have_count(3)
    expect(notification_rows(feed_page).nth(1)).to_have_attribute("data-notification", row_id)
    expect(feed_page.locator("#badge")).to_have_text("3")


def test_snooze_works_by_keyboard_and_keeps_the_focus_in_the_list(feed_page: Page) -> None:
    open_panel(feed_page, 3)
    feed_page.keyboard.press("j")
    feed_page.keyboard.press("s")
    expect(feed_page.locator(f"{PANEL_SELECTOR} .snooze-choices button").first).to_be_focused()
    feed_page.keyboard.press("Enter")

    expect(notification_rows(feed_page)).to_have_count(2)
    expect(notification_rows(feed_page).first.locator("a.group-line")).to_be_focused()


def test_row_returns_unread_at_the_top_without_a_toast(
    open_page: OpenPage, ada: BrowserUser, shared_engine: Engine
) -> None:
    page = open_page(ada)
    open_inbox(page, 3)
    record_toasts(page)
    notification_rows(page, INBOX_SELECTOR).nth(2).get_by_role("button", name="Mark as read").click()
    row_id = snooze_row(page, 2, "Tomorrow", INBOX_SELECTOR)
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(2)
    tab = page.context.new_page()
    tab.goto("/")
    wait_until_live(tab)
    expect(tab.locator("#badge")).to_have_text("2")

    with shared_engine.begin() as conn:
        conn.execute(text("update notifications set snoozed_until = now() where id = :id"), {"id": row_id})

    expect(tab.locator("#badge")).to_have_text("3")
    expect(page.locator("#badge")).to_have_text("3")
    page.locator(f"{INBOX_SELECTOR} [data-new-items]").click()
    first_row = notification_rows(page, INBOX_SELECTOR).first
    expect(first_row).to_have_attribute("data-notification", row_id)
    expect(first_row.locator(".status-dot")).to_have_count(1)
    assert recorded_toast_texts(page) == []
    assert ada.list_notifications()[0]["id"] == row_id


def test_failed_snooze_is_rolled_back(feed_page: Page, page_errors: PageErrorMonitor) -> None:
    page_errors.expect_errors("503")
    panel = open_panel(feed_page, 3)
    feed_page.route("**/api/notifications/*/snooze", lambda route: route.fulfill(
        status=503, json={"success": False, "error": "Please try again later", "code": "busy"}
    ))  # fmt: skip
    snooze_row(feed_page, 0, "Tomorrow")

    expect(panel.locator("[data-undo]")).to_contain_text("Nothing was changed")
    expect(notification_rows(feed_page)).to_have_count(3)


def test_snoozed_row_can_be_moved_back_without_javascript(open_page: OpenPage, ada: BrowserUser) -> None:
    row_id = ada.list_notifications()[0]["id"]
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ada.request_ok("POST", f"/api/notifications/{row_id}/snooze", {"until": until})
    page = open_page(ada, java_script_enabled=False)
    page.goto("/notifications")
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(2)

    page.locator(f"{INBOX_SELECTOR} [data-tab=snoozed]").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(1)
    page.get_by_role("button", name="Move back to the list").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(0)
    page.locator(f"{INBOX_SELECTOR} [data-tab=all]").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(3)
