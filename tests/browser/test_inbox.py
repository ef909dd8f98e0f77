"""The page /notifications, without and with JavaScript."""

from playwright.sync_api import expect

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.bell_panel import INBOX_SELECTOR, like_new_posts, notification_rows, open_inbox


def test_inbox_lists_marks_and_archives_without_javascript(
    open_page: OpenPage, register_user: RegisterUser
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    post_ids = like_new_posts([ben], ada, 3)
    wait_until(lambda: ada.unread_count == 3, "a group of each post", 30)
    ben.create_post(f"Hello @{ada.username}")
    wait_until(lambda: ada.unread_count == 4, "the mention as the newest", 30)
    page = open_page(ada, java_script_enabled=False)
    page.goto("/notifications")
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(4)
    expect(page.locator(f'{INBOX_SELECTOR} a.group-line[href="/posts/{post_ids[0]}"]')).to_have_count(1)

    page.get_by_role("button", name="Mark as read", exact=True).first.click()
    expect(page.get_by_role("button", name="Mark as unread")).to_have_count(1)
    page.get_by_role("button", name="Archive").last.click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(3)
    page.locator(f"{INBOX_SELECTOR} [data-tab=unread]").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(2)
    expect(page.locator(f"{INBOX_SELECTOR} [data-tab=unread] [data-count]")).to_have_text("2")
    page.locator(f"{INBOX_SELECTOR} [data-tab=all]").click()
    page.locator(INBOX_SELECTOR).get_by_label("Kind").select_option("LIKE")
    page.locator(INBOX_SELECTOR).get_by_role("button", name="Show").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(2)
    page.locator(f"{INBOX_SELECTOR} [data-tab=all]").click()
    page.locator(INBOX_SELECTOR).get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("button", name="Mark as read", exact=True)).to_have_count(0)
    assert ada.unread_count == 0


def test_inbox_continues_by_cursor_without_javascript(
    open_page: OpenPage, register_user: RegisterUser
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    like_new_posts([ben], ada, 22)
    wait_until(lambda: ada.unread_count == 22, "all groups", 30)
    page = open_page(ada, java_script_enabled=False)
    page.goto("/notifications")
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(20)
    page.locator(f"{INBOX_SELECTOR} [data-more]").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(2)


def test_url_keeps_the_inbox_view(open_page: OpenPage, register_user: RegisterUser) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    like_new_posts([ben], ada, 2)
    ben.create_post(f"Hello @{ada.username}")
    wait_until(lambda: ada.unread_count == 3, "three groups", 30)
    page = open_page(ada)
    open_inbox(page, 3)
    page.locator(f"{INBOX_SELECTOR} [data-tab=mentions]").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(1)
    expect(page).to_have_url("/notifications?tab=mentions")
    page.reload()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(1)


def test_back_button_restores_the_scroll_position(open_page: OpenPage, register_user: RegisterUser) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    like_new_posts([ben], ada, 25)
    wait_until(lambda: ada.unread_count == 25, "all groups", 30)
    page = open_page(ada)
    open_inbox(page, 20)
    page.locator(f"{INBOX_SELECTOR} [data-more]").click()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(25)
    link = notification_rows(page, INBOX_SELECTOR).last.locator("a.group-line")
    link.hover()  # scrolls, also if the row is replaced meanwhile
    scroll_y = page.evaluate("scrollY")
    link.click()
    page.wait_for_url("**/posts/**")
    page.go_back()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(25)
    wait_until(lambda: abs(page.evaluate("scrollY") - scroll_y) < 120, "the scroll position", 20)
