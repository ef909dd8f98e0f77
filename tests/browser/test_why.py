"""Where is it, why did this come, and what was I not told: in the browser, from the click on."""

import re

import pytest
from playwright.sync_api import Page, expect

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import (
    DISPLAY_PROFILES,
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    assert_target_sizes,
    layout_shift_details,
    layout_shift_score,
    record_layout_shifts,
    save_screenshot,
)
from tests.support.admin import admin as admin
from tests.support.admin import long_windows as long_windows
from tests.support.bell_panel import open_panel, open_row_actions, wait_until_live
from tests.support.console_errors import PageErrorMonitor
from tests.support.user import BrowserUser

TIMEOUT_MS = 90_000
"""A restarted aggregator joins its consumer groups within seconds, on an idle machine."""
EVENT_LINK = "Where is it?"


def like_in_browser(page: Page, post_id: str) -> None:
    page.goto(f"/posts/{post_id}")
    page.get_by_role("button", name="Like").click()
    expect(page.get_by_role("link", name=EVENT_LINK)).to_be_visible()


def hop(page: Page, name: str, state: str) -> None:
    """Waits until the hop is in this state."""
    expect(page.locator(f"[data-hop={name}]")).to_have_attribute("data-state", state, timeout=TIMEOUT_MS)


def check(page: Page, name: str) -> None:
    save_screenshot(page, name, is_full_page=True)
    assert_accessible(page)
    assert_target_sizes(page)
    assert_no_horizontal_scroll(page)


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_like_is_followed_to_the_browser_that_shows_it(
    open_page: OpenPage, register_user: RegisterUser, display_profile: DisplayProfile
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    owner_page = open_page(ada)
    owner_page.goto("/")
    wait_until_live(owner_page)
    page = open_page(ben, display_profile=display_profile)
    like_in_browser(page, ada.create_post("Hello"))
    check(page, f"event-link-{display_profile.name}")
    expect(owner_page.locator("#toasts")).to_contain_text("Ben liked your post")

    page.get_by_role("link", name=EVENT_LINK).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Where is it?")
    hop(page, "browser", "done")
    for name in ("request", "ingress", "kafka", "transaction", "outbox", "ready", "socket"):
        hop(page, name, "done")
    hop(page, "window", "skipped")
    expect(page.locator("[data-event-summary]")).to_have_text(
        re.compile(r"Shown in the recipient.s browser, .+ after the click\.")
    )
    expect(page.locator("[data-hop=kafka] .hop-duration")).to_have_text(re.compile(r"^(|\d+ ms|.+ s)$"))
    check(page, f"event-{display_profile.name}")


def test_fourth_like_waits_for_its_window_and_arrives_without_a_reload(
    open_page: OpenPage, register_user: RegisterUser, admin: BrowserUser, long_windows: None
) -> None:
    ada, *likers, ben = (register_user(name) for name in ("Ada", "Cem", "Dora", "Eva", "Ben"))
    post_id = ada.create_post("Hello")
    for liker in likers:
        liker.like(post_id)
    wait_until(lambda: _like_count(ada) == 3, "three likes", 90)
    page = open_page(ben)
    like_in_browser(page, post_id)
    page.get_by_role("link", name=EVENT_LINK).click()

    hop(page, "window", "waiting")
    summary = page.locator("[data-event-summary]")
    expect(summary).to_have_text(re.compile(r"Waits for the window until \d\d:\d\d:\d\d"))
    hop(page, "transaction", "pending")
    save_screenshot(page, "event-waiting")
    record_layout_shifts(page)
    admin.request_ok("POST", "/api/admin/windows/flush")
    hop(page, "socket", "done")
    assert layout_shift_score(page) == 0.0, layout_shift_details(page)

    shared = open_page(admin)
    shared.goto(page.url)
    hop(shared, "socket", "done")


def _like_count(user: BrowserUser) -> int:
    """Of the only notification."""
    return sum(row["aggregatedCount"] for row in user.list_notifications())


def test_event_of_another_user_is_not_shown(
    open_page: OpenPage, register_user: RegisterUser, page_errors: PageErrorMonitor
) -> None:
    page_errors.expect_errors("404")
    ada, ben = register_user("Ada"), register_user("Ben")
    page = open_page(ben)
    like_in_browser(page, ada.create_post("Hello"))
    link = page.get_by_role("link", name=EVENT_LINK).get_attribute("href")

    owner_page = open_page(ada)
    owner_page.goto(str(link))

    expect(owner_page.get_by_role("heading", level=1)).to_contain_text("There is no such event")


def test_link_disappears_when_the_like_is_taken_back(
    open_page: OpenPage, register_user: RegisterUser
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    page = open_page(ben, display_profile=DisplayProfile(320, 640, "light"))
    post_id = ada.create_post("Hello")
    page.goto(f"/posts/{post_id}")
    expect(page.get_by_role("link", name=EVENT_LINK)).to_have_count(0)
    record_layout_shifts(page)
    page.get_by_role("button", name="Like").click()
    expect(page.get_by_role("link", name=EVENT_LINK)).to_be_visible()
    assert_no_horizontal_scroll(page)
    page.get_by_role("button", name="Like").click()
    expect(page.get_by_role("link", name=EVENT_LINK)).to_have_count(0)
    assert layout_shift_score(page) == 0.0, layout_shift_details(page)


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_why_is_answered_in_at_most_six_lines_with_names(
    open_page: OpenPage, register_user: RegisterUser, display_profile: DisplayProfile
) -> None:
    ada, *likers = (register_user(name) for name in ("Ada", "Ben", "Cem", "Dora", "Hana"))
    post_id = ada.create_post("Hello")
    for liker in likers:
        liker.like(post_id)
    wait_until(lambda: _like_count(ada) == 4, "four likes", 60)
    page = open_page(ada, display_profile=display_profile)
    page.goto("/")
    panel = open_panel(page, 1)

    open_row_actions(panel)
    panel.get_by_role("button", name="Why did this come?").click()

    lines = panel.locator(".reason-lines li")
    expect(lines.first).to_have_text(
        re.compile(r"^Hana, at \d\d:\d\d, was the last of 4 people who liked your post\.$")
    )
    expect(panel.locator(".reason-lines")).to_contain_text("Your settings: in-app on, e-mail off, SMS off.")
    assert lines.count() <= 6
    check(page, f"why-{display_profile.name}")


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_what_was_not_told_is_found_by_person_and_by_post(
    open_page: OpenPage, register_user: RegisterUser, display_profile: DisplayProfile
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    post_id, other_post_id = ada.create_post("First swim"), ada.create_post("Second swim")
    ada.request_ok("PUT", f"/api/mutes/users/{ben.id}")
    ben.like(post_id)
    ada.like(other_post_id)
    path = f"/api/notifications/{ada.id}/suppressed"
    wait_until(lambda: len(ada.request_ok("GET", path)["entries"]) == 2, "both entries", 60)
    page = open_page(ada, display_profile=display_profile)
    page.goto("/notifications")
    page.get_by_role("link", name="What was I not told?").last.click()
    entries = page.locator("[data-reason]")
    expect(entries).to_have_count(2)
    check(page, f"not-told-{display_profile.name}")

    page.get_by_label("User name of a person").fill(ben.username)
    page.get_by_role("button", name="Show").click()
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text("Ben liked your post")
    expect(entries).to_contain_text("You muted the person or the post.")

    page.get_by_label("User name of a person").fill("")
    page.get_by_label("Post").select_option(other_post_id)
    page.get_by_role("button", name="Show").click()
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text("It was your own action.")

    page.get_by_label("User name of a person").fill("nobody_at_all")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#not-told-error")).to_have_text("Nobody has this user name.")
    check(page, f"not-told-unknown-{display_profile.name}")


def test_open_window_is_said_to_be_held(
    open_page: OpenPage, register_user: RegisterUser, long_windows: None
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    post_id = ada.create_post("Hello")
    ben.comment(post_id, "Nice")
    path = f"/api/notifications/{ada.id}/suppressed?postId={post_id}"
    wait_until(lambda: len(ada.request_ok("GET", path)["waiting"]) == 1, "the window", 90)
    page = open_page(ada)

    page.goto(f"/notifications/not-told?post={post_id}")

    held = page.locator(".not-told", has_text="1 comment of Hello")
    expect(held).to_contain_text("You are told when the window closes, at")
    check(page, "not-told-held")
