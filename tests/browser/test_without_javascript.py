"""The pages without JavaScript: log in, posts, likes, comments, follows, preferences."""

import re
import secrets

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.user import PASSWORD, BrowserUser


@pytest.fixture
def page(open_page: OpenPage, ada: BrowserUser) -> Page:
    feed_page = open_page(ada, java_script_enabled=False)
    feed_page.goto("/")
    return feed_page


def test_log_in_and_posting_work_without_javascript(open_page: OpenPage, ada: BrowserUser) -> None:
    page = open_page(None, java_script_enabled=False)
    page.goto("/")
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("What is new, Ada?").fill("No scripts here")
    page.get_by_role("button", name="Post", exact=True).click()

    expect(page.get_by_role("article").first).to_contain_text("No scripts here")
    page.locator(".menu summary").first.click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url("/login")


def test_registration_works_without_javascript(open_page: OpenPage) -> None:
    page = open_page(None, java_script_enabled=False)
    username = f"new_{secrets.token_hex(4)}"
    page.goto("/register")
    page.get_by_label("E-mail").fill(f"{username}@example.org")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()
    expect(page).to_have_url("/")


def test_like_bookmark_and_comment_work_without_javascript(page: Page, register_user: RegisterUser) -> None:
    post_id = register_user("Ben").create_post("Hello")
    page.goto(f"/posts/{post_id}")
    page.get_by_role("button", name="Like").click()
    expect(page.get_by_role("button", name="Like")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-likes]")).to_have_text("1")
    page.get_by_role("button", name="Bookmark").click()
    expect(page.get_by_role("button", name="Bookmark")).to_have_attribute("aria-pressed", "true")

    page.get_by_label("Your comment").fill("Lovely")
    page.get_by_role("button", name="Send").first.click()
    expect(page.locator(".comment")).to_contain_text("Lovely")
    page.locator(".comment summary").click()
    page.get_by_label(re.compile("^Your reply")).fill("Very")
    page.locator("[data-reply]").get_by_role("button", name="Send").click()
    expect(page.locator(".comment.depth-1")).to_contain_text("Very")
    page.locator(".depth-1").get_by_role("button", name="Delete").click()
    expect(page.locator(".comment.depth-1")).to_have_count(0)

    page.goto("/bookmarks")
    expect(page.get_by_role("article")).to_contain_text("Hello")


def test_follow_and_post_alert_work_without_javascript(page: Page, register_user: RegisterUser) -> None:
    ben = register_user("Ben")
    page.goto(f"/users/{ben.username}")
    page.locator(".profile").get_by_role("button", name="Follow").click()
    page.get_by_role("button", name="Get post alerts").click()
    expect(page.get_by_role("button", name="Post alerts on")).to_be_visible()
    expect(page.locator("[data-followers]")).to_have_text("1")


def test_preferences_work_without_javascript(page: Page) -> None:
    page.goto("/preferences")
    page.get_by_label("New followers: In-app").uncheck()
    page.get_by_label("Use quiet hours").check()
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_label("New followers: In-app")).not_to_be_checked()
    expect(page.get_by_label("Likes on your posts: In-app")).to_be_checked()
    expect(page.get_by_label("Use quiet hours")).to_be_checked()
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")


def test_long_list_continues_by_a_link_without_javascript(page: Page, ada: BrowserUser) -> None:
    for number in range(23):
        ada.create_post(f"Number {number}")
    page.goto(f"/users/{ada.username}")
    expect(page.get_by_role("article")).to_have_count(20)
    page.get_by_role("link", name="Load more").click()
    expect(page.get_by_role("article")).to_have_count(3)
