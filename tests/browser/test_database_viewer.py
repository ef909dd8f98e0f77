"""The database viewer: pending rows above written rows, and a table that keeps its selection."""

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

AGGREGATOR_START_TIMEOUT_MS = 90_000
_SELECT_FIRST_CELL = """(row) => {
  const range = document.createRange();
  range.selectNodeContents(row.children[1]);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  return getSelection().toString();
}"""


def _select_tab(page: Page, name: str) -> None:
    page.click(f"[data-tab={name}]")
    expect(page.locator("#rows-caption")).not_to_have_text("Loading…")


def test_comment_is_pending_until_its_window_closes_and_then_written(
    register_user: RegisterUser, open_page: OpenPage, admin: BrowserUser, long_windows: None
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    post_id = ada.create_post("Hello")
    page = open_page(ben)
    page.goto("/database")
    _select_tab(page, "comments")
    ben.comment(post_id, "A comment to follow")

    pending_row = page.locator("#pending tr", has_text="A comment to follow")
    # Until the restarted aggregator has joined its consumer groups, the comment is in Kafka only.
    expect(pending_row).to_contain_text("in a window until", timeout=AGGREGATOR_START_TIMEOUT_MS)
    expect(page.locator("#written tr", has_text="A comment to follow")).to_have_count(0)
    admin.request_ok("POST", "/api/admin/windows/flush")

    expect(page.locator("#written tr", has_text="A comment to follow")).to_have_count(1)
    expect(pending_row).to_have_count(0)


def test_selection_survives_a_refresh_and_pause_stops_refreshing(
    register_user: RegisterUser, open_page: OpenPage
) -> None:
    ada, ben, cem = register_user("Ada"), register_user("Ben"), register_user("Cem")
    ben.follow(ada)
    page = open_page(ada)
    page.goto("/database")
    _select_tab(page, "follows")
    row = page.locator("#written tr", has=page.locator(f"td[title='{ben.id}']"))
    expect(row).to_have_count(1)
    selection = row.evaluate(_SELECT_FIRST_CELL)

    cem.follow(ada)

    expect(page.locator(f"#written td[title='{cem.id}']")).to_have_count(1)
    assert page.evaluate("getSelection().toString()") == selection != ""
    page.click("#pause")
    expect(page.locator("#last-updated")).to_contain_text("paused")


def test_older_rows_load_by_cursor_and_survive_a_refresh(
    register_user: RegisterUser, open_page: OpenPage
) -> None:
    ada = register_user("Ada")
    simulated_follows = {"targetUserId": ada.id, "count": 50}
    for _ in range(2):
        ada.request_ok("POST", "/api/test/simulate-follows", simulated_follows)
    page = open_page(ada)
    page.goto("/database")
    _select_tab(page, "follows")
    expect(page.locator("#rows-caption")).to_contain_text("0 accepted and not written", timeout=60_000)

    page.click("#older")

    expect(page.locator("#written tr")).not_to_have_count(50)
    row_count = page.locator("#written tr").count()
    last_updated = page.locator("#last-updated")
    expect(last_updated).not_to_have_text("Updated just now")
    expect(last_updated).to_have_text("Updated just now")
    assert page.locator("#written tr").count() >= row_count >= 100


def test_clear_all_needs_a_confirmation_with_counts(register_user: RegisterUser, open_page: OpenPage) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    ben.follow(ada)
    page = open_page(ada)
    page.goto("/database")
    expect(page.locator("[data-total=follows]")).not_to_have_text("0")

    page.click("#clear")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("dialog")).to_have_count(0)
    page.click("#clear")
    expect(page.locator("#confirm-title")).to_contain_text("follows of everybody")
    page.get_by_role("button", name="Clear all data", exact=True).click()

    expect(page.locator("#clear-result")).to_have_text("All test data cleared")
    expect(page.locator("[data-total=follows]")).to_have_text("0")


def test_arrow_keys_select_the_next_tab(page: Page) -> None:
    page.goto("/database")
    page.focus("#tab-notification-history")
    page.keyboard.press("ArrowRight")

    expect(page.locator("#tab-likes")).to_be_focused()
    expect(page.locator("#tab-likes")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#columns th").nth(1)).to_have_text("Post")


def test_all_columns_are_visible_at_1280_pixels(
    register_user: RegisterUser, open_page: OpenPage, admin: BrowserUser, long_windows: None
) -> None:
    ada, ben = register_user("Ada" + "M" * 47), register_user("Ben Okri of a large and well-known family")
    post_id = ada.create_post("Hello")
    ben.comment(post_id, "A long comment, so that the message of its notification takes several words. " * 3)
    page = open_page(ada, display_profile=DisplayProfile(1280, 800, "light"))
    page.goto("/database")
    pending_row = page.locator("#pending tr", has_text="in a window until")
    # Until the restarted aggregator has joined its consumer groups, the comment is in Kafka only.
    expect(pending_row).to_have_count(1, timeout=AGGREGATOR_START_TIMEOUT_MS)
    admin.request_ok("POST", "/api/admin/windows/flush")
    expect(page.locator("#written tr", has_text="A long comment")).to_have_count(1)
    ben.comment(post_id, "W" * 200)
    expect(pending_row).to_have_count(1)

    for table in ("notification-history", "likes", "comments", "follows"):
        _select_tab(page, table)
        save_screenshot(page, f"database-long-{table}")
        width, visible_width = page.evaluate(
            "() => { const { scrollWidth, clientWidth } = document.getElementById('rows');"
            " return [scrollWidth, clientWidth]; }"
        )
        assert width <= visible_width, table


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_database_viewer_is_accessible(
    register_user: RegisterUser, open_page: OpenPage, display_profile: DisplayProfile
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    ben.like(ada.create_post("Hello"))
    page = open_page(ada, display_profile=display_profile)
    page.goto("/database")
    expect(page.locator("#written tr").first).to_be_visible()

    save_screenshot(page, f"database-{display_profile.name}", is_full_page=True)
    assert_accessible(page)
    assert_no_horizontal_scroll(page)
