"""Toasts: at most three, one per group, in one tab, and none about content on screen."""

from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import DisplayProfile
from tests.support.bell_panel import (
    PANEL_SELECTOR,
    like_new_posts,
    max_simultaneous_toasts,
    notification_rows,
    open_panel,
    record_toasts,
    recorded_toast_texts,
)
from tests.support.user import BrowserUser


@pytest.fixture
def other_users(register_user: RegisterUser) -> list[BrowserUser]:
    return [register_user(name) for name in ("Ben", "Cem", "Dora")]


@pytest.fixture
def feed_page(open_page: OpenPage, ada: BrowserUser) -> Page:
    page = open_page(ada)
    page.goto("/")
    record_toasts(page)
    return page


def test_at_most_three_toasts_are_shown_and_none_takes_the_focus(
    feed_page: Page, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    feed_page.locator("textarea").first.focus()
    like_new_posts(other_users, ada, 5)
    wait_until(lambda: len(recorded_toast_texts(feed_page)) == 5, "five toasts", 30)
    assert max_simultaneous_toasts(feed_page) <= 3
    expect(feed_page.locator("textarea").first).to_be_focused()


def test_toast_of_a_group_replaces_its_previous_toast(
    feed_page: Page, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    post_id = ada.create_post("Hello")
    for user in other_users:
        user.like(post_id)
    expected_texts = [f"{user.name} liked your post" for user in other_users]
    wait_until(lambda: sorted(recorded_toast_texts(feed_page)) == expected_texts, "three toasts", 30)
    assert max_simultaneous_toasts(feed_page) == 1


def test_toast_stays_while_hovered_and_then_disappears(
    feed_page: Page, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    feed_page.clock.install()
    other_users[0].like(ada.create_post("Hello"))
    expect(feed_page.locator(".toast")).to_have_count(1)
    feed_page.locator(".toast").hover()
    feed_page.clock.run_for(60_000)
    expect(feed_page.locator(".toast")).to_have_count(1)
    feed_page.mouse.move(5, 5)
    feed_page.clock.run_for(4_900)
    expect(feed_page.locator(".toast")).to_have_count(1)
    feed_page.clock.run_for(2_000)
    expect(feed_page.locator(".toast")).to_have_count(0)


def test_critical_toast_is_an_alert_and_stays_until_closed(feed_page: Page, ada: BrowserUser) -> None:
    feed_page.clock.install()
    ada.request_ok("POST", "/api/auth/otp/request", {})
    alert = feed_page.get_by_role("alert")
    expect(alert).to_contain_text("Your code is")
    feed_page.clock.run_for(600_000)
    expect(alert).to_be_visible()
    feed_page.keyboard.press("Escape")
    expect(feed_page.locator(".toast")).to_have_count(0)


def test_two_tabs_show_one_toast_and_equal_unread_counts(
    feed_page: Page, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    tab = feed_page.context.new_page()
    tab.goto("/")
    record_toasts(tab)
    like_new_posts(other_users, ada, 2)
    for page in (feed_page, tab):
        expect(page.locator("#badge")).to_have_text("2")
        expect(page).to_have_title("(2) Home · Chime")
        assert "data:image/svg" in str(page.locator("link[rel=icon]").get_attribute("href"))
    wait_until(
        lambda: len(recorded_toast_texts(tab)) == 2,
        "both toasts in the tab opened last",
        20,
    )
    assert recorded_toast_texts(feed_page) == []

    open_panel(feed_page, 2)
    notification_rows(feed_page).first.get_by_role("button", name="Mark as read").click()
    expect(tab.locator("#badge")).to_have_text("1")
    feed_page.keyboard.press("Escape")
    tab.close()
    other_users[2].like(ada.create_post("After the other tab was closed"))
    wait_until(lambda: len(recorded_toast_texts(feed_page)) == 1, "a toast in the remaining tab", 20)


def test_toast_disappears_when_its_notification_is_read_elsewhere(
    feed_page: Page, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    like_new_posts(other_users, ada, 1)
    expect(feed_page.locator(".toast")).to_have_count(1)
    feed_page.locator(".toast").hover()
    ada.request_ok("PATCH", f"/api/notifications/{ada.list_notifications()[0]['id']}/read")
    expect(feed_page.locator(".toast")).to_have_count(0)


def test_no_toast_is_shown_about_the_content_on_screen(
    feed_page: Page, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    post_id = ada.create_post("Hello")
    tab = feed_page.context.new_page()
    tab.goto(f"/posts/{post_id}")
    record_toasts(tab)
    other_users[0].like(post_id)
    for page in (feed_page, tab):
        expect(page.locator("#badge")).to_have_text("1")
    open_panel(feed_page, 1)
    other_users[1].like(ada.create_post("While the panel is open"))
    expect(feed_page.locator(f"{PANEL_SELECTOR} [data-new-items]")).to_have_text("1 new")
    expect(tab.locator("#badge")).to_have_text("2")
    feed_page.keyboard.press("Escape")
    other_users[2].like(ada.create_post("After it was closed"))
    wait_until(
        lambda: recorded_toast_texts(feed_page) + recorded_toast_texts(tab) == ["Dora liked your post"],
        "a toast for the last like only",
        20,
    )


def test_toast_does_not_cover_the_text_field_on_a_phone(
    open_page: OpenPage, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    page = open_page(ada, display_profile=DisplayProfile(375, 720, "light"))
    page.goto(f"/posts/{ada.create_post('Here')}")
    record_toasts(page)
    like_new_posts(other_users, ada, 1)
    expect(page.locator(".toast")).to_have_count(1)
    page.locator(".toast").hover()
    like_new_posts(other_users, ada, 2)
    wait_until(lambda: len(recorded_toast_texts(page)) == 3, "three toasts", 20)
    field = page.get_by_label("Your comment").first
    field.focus()
    field.click(trial=True)
    assert page.evaluate(
        """() => {
          const field = document.activeElement.getBoundingClientRect();
          return [...document.querySelectorAll(".toast")].every((toast) => {
            const rect = toast.getBoundingClientRect();
            return rect.bottom <= field.top || rect.top >= field.bottom;
          });
        }"""
    )


def test_disabled_push_channel_shows_no_toast(
    feed_page: Page, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    matrix = {"LIKE": {"push": False, "email": True, "sms": False}}
    ada.request_ok("PATCH", f"/api/preferences/{ada.id}", {"matrix": matrix})
    other_users[0].like(ada.create_post("Hello"))
    expect(feed_page.locator("#badge")).to_have_text("1")
    other_users[1].follow(ada)
    wait_until(
        lambda: recorded_toast_texts(feed_page) == ["Cem started following you"],
        "a toast for the follower only",
        20,
    )


def test_unread_count_increases_are_announced_to_screen_readers_and_decreases_are_not(
    feed_page: Page, ada: BrowserUser, other_users: list[BrowserUser]
) -> None:
    feed_page.evaluate(
        """() => {
          window.__announcements = [];
          const announcer = document.getElementById("announcer");
          new MutationObserver(() => window.__announcements.push([performance.now(), announcer.textContent]))
            .observe(announcer, { childList: true, characterData: true, subtree: true });
        }"""
    )
    like_new_posts(other_users, ada, 4)
    are_four_announced = "() => window.__announcements.at(-1)?.[1] === '4 unread notifications'"
    wait_until(lambda: feed_page.evaluate(are_four_announced), "four unread announced", 30)
    ada.request_ok("PATCH", f"/api/notifications/{ada.id}/read-all")
    expect(feed_page.locator("#badge")).to_be_hidden()
    announcements = feed_page.evaluate("window.__announcements")
    assert all(later - earlier >= 4900 for (earlier, _), (later, _) in pairwise(announcements))
    assert announcements[-1][1] == "4 unread notifications"
