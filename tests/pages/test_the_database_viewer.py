"""The database viewer: what is accepted above what is written, and a table that keeps still."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Meet, Visit
from tests.pages.looks import LOOKS, Look, check_axe, check_width, picture
from tests.pages.operator import admin as admin
from tests.pages.operator import long_windows as long_windows
from tests.pages.person import Person

START_MS = 90_000
_SELECT = """(row) => {
  const range = document.createRange();
  range.selectNodeContents(row.children[1]);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  return getSelection().toString();
}"""


def _tab(page: Page, name: str) -> None:
    page.click(f"[data-tab={name}]")
    expect(page.locator("#rows-caption")).not_to_have_text("Loading…")


def test_a_comment_is_pending_until_its_window_closes_and_then_written(
    person: Meet, visit: Visit, admin: Person, long_windows: None
) -> None:
    ada, ben = person("Ada"), person("Ben")
    post = ada.posts("Hello")
    page = visit(ben)
    page.goto("/database")
    _tab(page, "comments")
    ben.comments(post, "A word to be watched")

    waiting = page.locator("#pending tr", has_text="A word to be watched")
    # While the new aggregator joins its groups, the comment is in Kafka alone.
    expect(waiting).to_contain_text("in a window until", timeout=START_MS)
    expect(page.locator("#written tr", has_text="A word to be watched")).to_have_count(0)
    admin.call("POST", "/api/admin/windows/flush")

    expect(page.locator("#written tr", has_text="A word to be watched")).to_have_count(1)
    expect(waiting).to_have_count(0)


def test_a_selection_survives_a_refresh_and_a_pause_stops_it(person: Meet, visit: Visit) -> None:
    ada, ben, cem = person("Ada"), person("Ben"), person("Cem")
    ben.follows(ada)
    page = visit(ada)
    page.goto("/database")
    _tab(page, "follows")
    row = page.locator("#written tr", has=page.locator(f"td[title='{ben.id}']"))
    expect(row).to_have_count(1)
    chosen = row.evaluate(_SELECT)

    cem.follows(ada)

    expect(page.locator(f"#written td[title='{cem.id}']")).to_have_count(1)
    assert page.evaluate("getSelection().toString()") == chosen != ""
    page.click("#pause")
    expect(page.locator("#stamp")).to_contain_text("paused")


def test_older_rows_follow_by_a_cursor_and_stay_through_a_refresh(
    person: Meet, visit: Visit
) -> None:
    ada = person("Ada")
    people = {"targetUserId": ada.id, "count": 50}
    for _ in range(2):
        ada.call("POST", "/api/test/simulate-follows", people)
    page = visit(ada)
    page.goto("/database")
    _tab(page, "follows")
    expect(page.locator("#rows-caption")).to_contain_text(
        "0 accepted and not written", timeout=60_000
    )

    page.click("#older")

    expect(page.locator("#written tr")).not_to_have_count(50)
    many = page.locator("#written tr").count()
    stamp = page.locator("#stamp")
    expect(stamp).not_to_have_text("Updated just now")
    expect(stamp).to_have_text("Updated just now")
    assert page.locator("#written tr").count() >= many >= 100


def test_everything_is_cleared_after_a_question_with_numbers(person: Meet, visit: Visit) -> None:
    ada, ben = person("Ada"), person("Ben")
    ben.follows(ada)
    page = visit(ada)
    page.goto("/database")
    expect(page.locator("[data-total=follows]")).not_to_have_text("0")

    page.click("#clear")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("dialog")).to_have_count(0)
    page.click("#clear")
    expect(page.locator("#confirm-title")).to_contain_text("follows of everybody")
    page.get_by_role("button", name="Clear all data", exact=True).click()

    expect(page.locator("#clear-said")).to_have_text("All test data cleared")
    expect(page.locator("[data-total=follows]")).to_have_text("0")


def test_tabs_are_moved_by_arrow_keys(page: Page) -> None:
    page.goto("/database")
    page.focus("#tab-notification-history")
    page.keyboard.press("ArrowRight")

    expect(page.locator("#tab-likes")).to_be_focused()
    expect(page.locator("#tab-likes")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#columns th").nth(1)).to_have_text("Post")


@pytest.mark.parametrize("look", LOOKS)
def test_it_can_be_read_by_everybody(person: Meet, visit: Visit, look: Look) -> None:
    ada, ben = person("Ada"), person("Ben")
    ben.likes(ada.posts("Hello"))
    page = visit(ada, look=look)
    page.goto("/database")
    expect(page.locator("#written tr").first).to_be_visible()

    picture(page, f"database-{look.name}", whole=True)
    check_axe(page)
    check_width(page)
