"""Rows of the notification list: how many fit, what they show, and that their buttons can be reached."""

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import Engine, text

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import (
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    save_screenshot,
)
from tests.support.bell_panel import (
    INBOX_SELECTOR,
    PANEL_SELECTOR,
    like_new_posts,
    notification_rows,
    open_inbox,
    open_panel,
    open_row_actions,
)
from tests.support.user import PASSWORD, BrowserUser

DESKTOP, PHONE = DisplayProfile(1280, 800, "light"), DisplayProfile(320, 640, "light")
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
COUNT_VISIBLE_ROWS = """(list) => {
  const frame = list.closest("[data-body]").getBoundingClientRect();
  return [...list.querySelectorAll("[data-notification]")].filter((row) => {
    const { top, bottom } = row.getBoundingClientRect();
    return top >= frame.top && bottom <= frame.bottom;
  }).length;
}"""
IS_ONE_LINE = """(element) => {
  const boxes = [...element.children].map((child) => child.getBoundingClientRect());
  const shown = boxes.filter((box) => box.width);
  const right = element.getBoundingClientRect().right + 1;
  return shown.every((box) =>
    box.top < shown[0].bottom && box.bottom > shown[0].top && box.right <= right);
}"""


@pytest.fixture
def ada(register_user: RegisterUser) -> BrowserUser:
    return register_user("Ada Lovelace")


@pytest.fixture
def ben(register_user: RegisterUser) -> BrowserUser:
    return register_user("Ben Okri")


@pytest.fixture
def mixed_inbox(ada: BrowserUser, ben: BrowserUser, register_user: RegisterUser) -> BrowserUser:
    """Ada, with a like by three people, a comment, a mention, a follower and a log-in from a new device."""
    post_id = ada.create_post("First swim of the year")
    for user in (ben, register_user("Cem Kaya"), register_user("Dora")):
        user.like(post_id)
    ben.comment(post_id, "Lovely! Count me in next time, whenever that may be, I will bring towels.")
    ben.create_post(f"Hello @{ada.username}")
    register_user("Eva").follow(ada)
    credentials = {"email": ada.email, "password": PASSWORD}
    ada.request_ok("POST", "/api/auth/login", credentials, User_Agent=CHROME)
    wait_until(lambda: ada.unread_count == 5, "five groups", 30)
    return ada


def row_with(page: Page, row_text: str) -> Locator:
    return notification_rows(page).filter(has_text=row_text)


@pytest.mark.parametrize(
    ("display_profile", "min_rows"),
    [pytest.param(DESKTOP, 8, id="1280x800"), pytest.param(PHONE, 5, id="320x640")],
)
def test_panel_shows_many_rows_below_a_header_that_does_not_wrap(
    open_page: OpenPage, ada: BrowserUser, ben: BrowserUser, display_profile: DisplayProfile, min_rows: int
) -> None:
    like_new_posts([ben], ada, 12)
    wait_until(lambda: ada.unread_count == 12, "all groups", 30)
    page = open_page(ada, display_profile=display_profile)
    page.goto("/")
    panel = open_panel(page, 12)
    save_screenshot(page, f"rows-panel-{display_profile.name}")

    assert panel.locator("[data-list]").evaluate(COUNT_VISIBLE_ROWS) >= min_rows
    assert panel.locator(".inbox-head").evaluate(IS_ONE_LINE)
    assert panel.locator("[data-tabs]").evaluate(IS_ONE_LINE)


@pytest.mark.parametrize("width", [320, 375])
def test_header_of_the_page_does_not_wrap_and_has_no_keyboard_hint_on_a_phone(
    open_page: OpenPage, mixed_inbox: BrowserUser, width: int
) -> None:
    page = open_page(mixed_inbox, display_profile=DisplayProfile(width, 720, "light"))
    open_inbox(page, 5)

    assert page.locator(f"{INBOX_SELECTOR} .inbox-head").evaluate(IS_ONE_LINE)
    assert page.locator(f"{INBOX_SELECTOR} [data-tabs]").evaluate(IS_ONE_LINE)
    expect(page.locator(f"{INBOX_SELECTOR} [data-help-button]")).to_be_hidden()
    assert_no_horizontal_scroll(page)


def test_row_has_one_line_of_text_and_a_second_line(open_page: OpenPage, mixed_inbox: BrowserUser) -> None:
    page = open_page(mixed_inbox, display_profile=DESKTOP)
    page.goto("/")
    open_panel(page, 5)

    lines = {
        row.locator("a.group-line").inner_text(): row.locator(".group-detail").inner_text()
        for row in notification_rows(page).all()
    }
    assert lines == {
        "New log-in: Chrome on Linux, near 127.0.0.0/24": "If this was not you, change your password.",
        "Eva started following you": f"@{row_username(page, 'started following')}",
        "Ben Okri mentioned you": f"Hello @{mixed_inbox.username}",
        "Ben Okri commented on your post": (
            "Lovely! Count me in next time, whenever that may be, I will bring towels."
        ),
        "Dora and 2 others liked your post": "First swim of the year",
    }


def row_username(page: Page, row_text: str) -> str:
    href = row_with(page, row_text).locator("a.group-line").get_attribute("href")
    return str(href).rpartition("/")[2]


def test_unread_is_said_once(open_page: OpenPage, mixed_inbox: BrowserUser) -> None:
    page = open_page(mixed_inbox, display_profile=DESKTOP)
    page.goto("/")
    open_panel(page, 5)
    row = row_with(page, "liked your post")
    expect(row.get_by_text("Unread", exact=True)).to_have_count(1)

    row.get_by_role("button", name="Mark as read").click()

    expect(row.locator(".status-dot")).to_have_count(0)
    weights = (
        notification_rows(page)
        .locator("a.group-line")
        .evaluate_all("(links) => links.map((link) => getComputedStyle(link).fontWeight)")
    )
    assert sorted(weights) == ["400", "700", "700", "700", "700"]


def test_click_anywhere_on_a_row_opens_the_thing(open_page: OpenPage, mixed_inbox: BrowserUser) -> None:
    page = open_page(mixed_inbox, display_profile=DESKTOP)
    page.goto("/")
    open_panel(page, 5)

    box = row_with(page, "commented on your post").locator(".group-detail").bounding_box()
    assert box
    page.mouse.click(box["x"] + 20, box["y"] + box["height"] / 2)

    page.wait_for_url("**/posts/**#comment-**")
    wait_until(lambda: mixed_inbox.unread_count == 4, "the comment as read", 20)


def test_buttons_of_a_row_are_shown_on_hover_and_on_focus(
    open_page: OpenPage, mixed_inbox: BrowserUser
) -> None:
    page = open_page(mixed_inbox, display_profile=DESKTOP)
    page.goto("/")
    open_panel(page, 5)
    tools = notification_rows(page).first.locator(".group-tools")
    expect(tools).to_have_css("opacity", "0")

    notification_rows(page).first.hover()
    expect(tools).to_have_css("opacity", "1")
    page.mouse.move(5, 400)
    expect(tools).to_have_css("opacity", "0")
    page.keyboard.press("j")
    page.keyboard.press("Tab")
    expect(tools.get_by_role("button", name="Mark as read")).to_be_focused()
    expect(tools).to_have_css("opacity", "1")


def test_buttons_of_a_row_are_reached_by_touch(open_page: OpenPage, mixed_inbox: BrowserUser) -> None:
    page = open_page(mixed_inbox, display_profile=PHONE)
    page.goto("/")
    open_panel(page, 5)
    row = row_with(page, "liked your post")
    expect(row.get_by_role("button", name="Archive")).to_be_hidden()

    row.get_by_role("button", name="Actions").tap()
    row.get_by_role("button", name="Archive").tap()

    expect(notification_rows(page)).to_have_count(4)


def test_page_groups_rows_by_the_days_of_the_reader(
    open_page: OpenPage, mixed_inbox: BrowserUser, shared_engine: Engine
) -> None:
    with shared_engine.begin() as conn:
        conn.execute(
            text(
                "update notifications set updated_at = updated_at - make_interval(days => "
                "case type when 'LIKE' then 1 when 'COMMENT' then 40 else 0 end) where user_id = :ada"
            ),
            {"ada": mixed_inbox.id},
        )
    page = open_page(mixed_inbox, display_profile=DESKTOP)
    open_inbox(page, 5)

    headings = page.locator(f"{INBOX_SELECTOR} .day h2")
    expect(headings).to_have_count(3)
    assert headings.all_inner_texts()[:2] == ["Today", "Yesterday"]
    texts_in_order = page.locator(f"{INBOX_SELECTOR} [data-list] > li").all_inner_texts()
    assert texts_in_order[0] == "Today"
    assert texts_in_order[4] == "Yesterday"
    assert "liked your post" in texts_in_order[5]


@pytest.mark.parametrize(
    "display_profile",
    [
        pytest.param(DisplayProfile(1920, 1080, "light"), id="1920-light"),
        pytest.param(DisplayProfile(320, 720, "dark"), id="320-dark", marks=pytest.mark.drill),
        pytest.param(DisplayProfile(320, 720, "light"), id="320-light", marks=pytest.mark.drill),
        pytest.param(DisplayProfile(1920, 1080, "dark"), id="1920-dark", marks=pytest.mark.drill),
    ],
)
def test_list_is_accessible_at_every_width(
    open_page: OpenPage, mixed_inbox: BrowserUser, display_profile: DisplayProfile
) -> None:
    page = open_page(mixed_inbox, display_profile=display_profile)
    page.goto("/")
    panel = open_panel(page, 5)
    row = notification_rows(page).first
    open_row_actions(row)
    row.get_by_role("button", name="Snooze").click()
    expect(panel.get_by_role("group", name="Snooze until")).to_be_visible()
    save_screenshot(page, f"rows-open-{display_profile.name}")
    assert_accessible(page, PANEL_SELECTOR)
    open_inbox(page, 5)
    save_screenshot(page, f"rows-page-{display_profile.name}")
    assert_accessible(page)
    assert_no_horizontal_scroll(page)
    page.goto("/notifications?tab=snoozed")
    expect(page.locator(f"{INBOX_SELECTOR} [data-state]")).to_have_text("Nothing is snoozed.")
    assert_accessible(page)
