"""The notification panel: rows, keyboard, undo, and no movement while the user reads."""

import pytest
from playwright.sync_api import Page, expect

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import (
    DISPLAY_PROFILES,
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    layout_shift_details,
    layout_shift_score,
    record_layout_shifts,
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
    wait_until_live,
)
from tests.support.console_errors import PageErrorMonitor
from tests.support.user import BrowserUser

NAMES = ("Ben", "Cem Kaya", "Dora", "Eva", "Fay", "Gus")
PHONE = DisplayProfile(375, 720, "light")
ROW_POSITIONS = (
    f"[...document.querySelectorAll('"
    f"{PANEL_SELECTOR} [data-notification], {INBOX_SELECTOR} [data-notification]')]"
    ".map((row) => row.dataset.notification + row.getBoundingClientRect().top)"
)


@pytest.fixture
def ada(register_user: RegisterUser) -> BrowserUser:
    """A user with four groups: likes by six users, a comment, a mention, a follower."""
    ada, others = register_user("Ada Lovelace"), [register_user(name) for name in NAMES]
    post_id = ada.create_post("A first post")
    for other in others:
        other.like(post_id)
    others[0].follow(ada)
    others[1].comment(post_id, "What a lovely thing to write, and how long it goes on, truly!")
    others[2].create_post(f"Hello @{ada.username}")
    return ada


@pytest.fixture
def feed_page(open_page: OpenPage, ada: BrowserUser) -> Page:
    page = open_page(ada)
    page.goto("/")
    wait_until_live(page)
    expect(page.locator("#badge")).to_have_text("4")
    return page


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_panel_and_inbox_are_accessible_in_every_display_profile(
    open_page: OpenPage, ada: BrowserUser, display_profile: DisplayProfile
) -> None:
    page = open_page(ada, display_profile=display_profile)
    page.goto("/")
    expect(page.locator("#badge")).to_have_text("4")
    panel = open_panel(page, 4)
    save_screenshot(page, f"panel-{display_profile.name}")
    assert_accessible(page)
    assert_no_horizontal_scroll(page)
    for row in notification_rows(page).all():
        open_row_actions(row)
    panel.get_by_role("button", name="Who?").first.click()
    expect(panel.locator(".group-people li")).to_have_count(6)
    panel.get_by_role("button", name="Why did this come?").last.click()
    expect(panel.locator(".reason-lines")).to_contain_text("Your settings: in-app on")
    save_screenshot(page, f"panel-open-{display_profile.name}")
    assert_accessible(page)
    open_inbox(page, 4)
    save_screenshot(page, f"inbox-{display_profile.name}")
    assert_accessible(page)
    assert_no_horizontal_scroll(page)


def test_group_shows_two_faces_and_names_four_people_once(feed_page: Page) -> None:
    panel = open_panel(feed_page, 4)
    group = panel.locator("[data-notification]", has_text="liked your post")

    expect(group.locator("a.group-line")).to_have_text("Gus and 5 others liked your post")
    expect(group.get_by_role("img")).to_have_accessible_name("Gus, Fay, Eva, Dora, and 2 others")
    expect(group.locator(".actor-avatars .avatar")).to_have_count(2)


def test_opening_the_panel_moves_the_focus_into_it_and_closing_returns_it(feed_page: Page) -> None:
    open_panel(feed_page, 4)
    expect(feed_page.locator("#bell-inbox-title")).to_be_focused()
    expect(feed_page.locator("#bell-button")).to_have_attribute("aria-expanded", "true")

    feed_page.keyboard.press("Escape")

    expect(feed_page.locator(PANEL_SELECTOR)).to_be_hidden()
    expect(feed_page.locator("#bell-button")).to_be_focused()
    expect(feed_page.locator("#bell-button")).to_have_attribute("aria-expanded", "false")


def test_click_outside_closes_the_panel(feed_page: Page) -> None:
    open_panel(feed_page, 4)
    feed_page.locator("main h1").click(force=True)
    expect(feed_page.locator(PANEL_SELECTOR)).to_be_hidden()


def test_focus_stays_in_the_panel_on_a_phone(open_page: OpenPage, ada: BrowserUser) -> None:
    page = open_page(ada, display_profile=PHONE)
    page.goto("/")
    expect(page.locator("#badge")).to_have_text("4")
    open_panel(page, 4)
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(f"document.querySelector('{PANEL_SELECTOR}').contains(document.activeElement)")


def test_shortcut_keys_move_the_focus_and_mark_and_archive_rows(feed_page: Page, ada: BrowserUser) -> None:
    open_panel(feed_page, 4)
    links = feed_page.locator(f"{PANEL_SELECTOR} a.group-line")
    feed_page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    feed_page.keyboard.press("ArrowDown")
    feed_page.keyboard.press("j")
    feed_page.keyboard.press("k")
    expect(links.nth(1)).to_be_focused()

    feed_page.keyboard.press("u")
    expect(feed_page.locator("#badge")).to_have_text("3")
    feed_page.keyboard.press("u")
    expect(feed_page.locator("#badge")).to_have_text("4")
    second_id = notification_rows(feed_page).nth(1).get_attribute("data-notification")
    feed_page.keyboard.press("e")
    expect(feed_page.locator(f'[data-notification="{second_id}"]')).to_have_count(0)
    expect(links.nth(1)).to_be_focused()
    feed_page.keyboard.press("?")
    expect(feed_page.locator(f"{PANEL_SELECTOR} [data-help]")).to_be_visible()
    feed_page.keyboard.press("Shift+U")
    expect(feed_page.locator("#badge")).to_be_hidden()
    assert ada.unread_count == 0


def test_single_key_shortcuts_can_be_disabled(feed_page: Page) -> None:
    open_panel(feed_page, 4)
    feed_page.keyboard.press("?")
    feed_page.get_by_label("Single-key shortcuts").uncheck()
    feed_page.locator("#bell-inbox-title").focus()
    feed_page.keyboard.press("j")
    expect(feed_page.locator("#bell-inbox-title")).to_be_focused()
    feed_page.keyboard.press("ArrowDown")
    expect(feed_page.locator(f"{PANEL_SELECTOR} a.group-line").first).to_be_focused()


def test_tab_counts_match_the_rows_of_each_tab(feed_page: Page) -> None:
    panel = open_panel(feed_page, 4)
    notification_rows(feed_page).nth(0).get_by_role("button", name="Mark as read").click()
    for tab, count in (("unread", 3), ("mentions", 1), ("all", 4)):
        panel.locator(f"[data-tab={tab}]").click()
        expect(notification_rows(feed_page)).to_have_count(count)
        expect(panel.locator(f"[data-tab={tab}] [data-count]")).to_have_text(str(count))
    panel.get_by_label("Kind").select_option("LIKE")
    expect(notification_rows(feed_page)).to_have_count(1)
    expect(notification_rows(feed_page)).to_contain_text("Gus and 5 others liked your post")
    expect(panel.locator("[data-tab=all] [data-count]")).to_have_text("1")


def test_archiving_and_marking_all_can_be_undone(feed_page: Page, ada: BrowserUser) -> None:
    panel = open_panel(feed_page, 4)
    notification_rows(feed_page).nth(1).get_by_role("button", name="Archive").click()
    expect(notification_rows(feed_page)).to_have_count(3)
    expect(feed_page.locator("#badge")).to_have_text("3")
    panel.get_by_role("button", name="Undo").click()
    expect(notification_rows(feed_page)).to_have_count(4)
    expect(feed_page.locator("#badge")).to_have_text("4")

    notification_rows(feed_page).nth(0).get_by_role("button", name="Mark as read").click()
    expect(feed_page.locator("#badge")).to_have_text("3")
    panel.get_by_role("button", name="Mark all as read").click()
    expect(feed_page.locator("#badge")).to_be_hidden()
    panel.get_by_role("button", name="Undo").click()
    expect(feed_page.locator("#badge")).to_have_text("3")  # the row that was read before stays read
    assert ada.unread_count == 3


def test_failed_change_is_rolled_back_with_a_message(feed_page: Page, page_errors: PageErrorMonitor) -> None:
    page_errors.expect_errors("503")
    open_panel(feed_page, 4)
    feed_page.route("**/api/notifications/*/archive", lambda route: route.fulfill(
        status=503, json={"success": False, "error": "Please try again later", "code": "busy"}
    ))  # fmt: skip
    notification_rows(feed_page).nth(0).get_by_role("button", name="Archive").click()

    expect(feed_page.locator(f"{PANEL_SELECTOR} [data-undo]")).to_contain_text("Nothing was changed")
    expect(notification_rows(feed_page)).to_have_count(4)
    expect(feed_page.locator("#badge")).to_have_text("4")


def test_opening_the_panel_marks_seen_and_only_a_click_marks_read(feed_page: Page, ada: BrowserUser) -> None:
    open_panel(feed_page, 4)
    expect(feed_page.locator("#badge")).to_contain_class("all-seen")
    wait_until(lambda: all(row["seenAt"] for row in ada.list_notifications()), "all rows seen", 20)
    assert not any(row["isRead"] for row in ada.list_notifications())

    notification_rows(feed_page).locator("a.group-line", has_text="mentioned you").click()
    feed_page.wait_for_url("**/posts/**")
    expect(feed_page.locator("#badge")).to_have_text("3")
    assert [row["type"] for row in ada.list_notifications() if row["isRead"]] == ["MENTION"]


def _make_hundred_changes(ada: BrowserUser, others: list[BrowserUser], liked_post_id: str) -> None:
    """Creates ten new groups of five likes, and sets and withdraws likes of `liked_post_id` repeatedly."""
    for post_id in [ada.create_post(f"Post {number}") for number in range(10)]:
        for other in others:
            other.like(post_id)
    for is_liked in (True, False, True, False, True, False, True, False, True):
        for other in others:
            (other.like if is_liked else other.unlike)(liked_post_id)
    for other in others:
        other.follow(ada)


def test_hundred_live_changes_do_not_move_the_rows_being_read(
    open_page: OpenPage, ada: BrowserUser, register_user: RegisterUser
) -> None:
    page = open_page(ada)
    page.goto("/")
    wait_until_live(page)
    expect(page.locator("#badge")).to_have_text("4")
    open_panel(page, 4)
    page.keyboard.press("j")
    tab = page.context.new_page()
    open_inbox(tab, 4)
    others = [register_user(name) for name in ("Hal", "Ida", "Jon", "Kim", "Leo")]
    liked_post_id = next(row for row in ada.list_notifications() if row["type"] == "LIKE")["targetId"]
    positions_before = page.evaluate(ROW_POSITIONS), tab.evaluate(ROW_POSITIONS)
    for watched_page in (page, tab):
        record_layout_shifts(watched_page)

    _make_hundred_changes(ada, others, liked_post_id)

    for watched_page, container in ((page, PANEL_SELECTOR), (tab, INBOX_SELECTOR)):
        expect(watched_page.locator(f"{container} [data-new-items]")).to_have_text("10 new")
        expect(notification_rows(watched_page, container)).to_have_count(4)
        expect(watched_page.locator(f"{container} .group-line", has_text="liked")).to_contain_text(
            "10 others"
        )
    assert (page.evaluate(ROW_POSITIONS), tab.evaluate(ROW_POSITIONS)) == positions_before
    assert (layout_shift_score(page), layout_shift_score(tab)) == (0.0, 0.0), (
        layout_shift_details(page),
        layout_shift_details(tab),
    )
    expect(page.locator(f"{PANEL_SELECTOR} a.group-line").first).to_be_focused()

    page.locator(f"{PANEL_SELECTOR} [data-new-items]").click()
    expect(notification_rows(page)).to_have_count(14)
    expect(page.locator(f"{PANEL_SELECTOR} [data-tab=all] [data-count]")).to_have_text("14")
    expect(page.locator("#badge")).to_have_text("14")
    assert ada.unread_count == 14


def test_load_more_appends_the_next_page(open_page: OpenPage, register_user: RegisterUser) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    like_new_posts([ben], ada, 23)
    page = open_page(ada)
    page.goto("/")
    expect(page.locator("#badge")).to_have_text("23")
    panel = open_panel(page, 20)
    panel.get_by_role("button", name="Load more").click()
    expect(notification_rows(page)).to_have_count(23)
    expect(panel.get_by_role("button", name="Load more")).to_be_hidden()


def test_failed_load_can_be_retried(feed_page: Page, page_errors: PageErrorMonitor) -> None:
    page_errors.expect_errors("503")
    feed_page.route("**/api/notifications/**", lambda route: route.fulfill(
        status=503, json={"success": False, "error": "Please try again later", "code": "busy"}
    ))  # fmt: skip
    feed_page.locator("#bell-button").click()
    retry_button = feed_page.locator(PANEL_SELECTOR).get_by_role("button", name="Try again")
    expect(retry_button).to_be_visible()
    feed_page.unroute("**/api/notifications/**")
    retry_button.click()
    expect(notification_rows(feed_page)).to_have_count(4)
