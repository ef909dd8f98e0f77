"""Comments on the page of a post: create, reply, delete; links of mentions."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.user import BrowserUser


@pytest.fixture
def post_id(ada: BrowserUser) -> str:
    return ada.create_post("Hello")


@pytest.fixture
def page(open_page: OpenPage, ada: BrowserUser, post_id: str) -> Page:
    post_page = open_page(ada)
    post_page.goto(f"/posts/{post_id}")
    return post_page


def test_comment_and_reply_appear_without_leaving_the_page(page: Page) -> None:
    page.evaluate("window.isSamePage = true")
    page.get_by_label("Your comment").fill("One")
    page.get_by_label("Your comment").press("Enter")
    expect(page.locator(".comment")).to_contain_text("One")
    expect(page.locator("[data-comments]")).to_have_text("1")

    page.locator(".comment summary").click()
    page.get_by_label("Your reply to Ada").fill("Two")
    page.get_by_label("Your reply to Ada").press("Enter")
    expect(page.locator(".comment.depth-1")).to_contain_text("Two")

    page.locator(".depth-1").get_by_role("button", name="Delete").click()
    page.locator(".depth-1").get_by_role("button", name="Really delete?").click()
    expect(page.locator(".comment")).to_have_count(1)
    assert page.evaluate("window.isSamePage")


def test_comment_box_of_the_feed_opens_on_demand(page: Page, post_id: str) -> None:
    page.goto("/")
    post = page.locator(f"[data-post='{post_id}']")
    field = post.get_by_label("Your comment")
    expect(field).to_be_hidden()

    post.locator("summary", has_text="Comment").press("Enter")
    expect(field).to_be_focused()
    field.fill("From the feed")
    field.press("Enter")

    expect(page.locator(".toast")).to_contain_text("Comment sent")
    expect(post.locator("[data-comments]")).to_have_text("1")


def test_new_comments_of_others_wait_behind_a_button(
    page: Page, post_id: str, register_user: RegisterUser
) -> None:
    expect(page.locator("#connection")).to_be_hidden()
    ben = register_user("Ben")
    ben.reply(ben.comment(post_id, "First"), "Second")
    show_button = page.get_by_role("button", name="Show 2 new")
    expect(show_button).to_be_visible()
    expect(page.locator(".comment")).to_have_count(0)
    show_button.click()
    expect(page.locator(".comment")).to_have_count(2)


def test_comment_of_another_user_has_no_delete_button(
    page: Page, post_id: str, register_user: RegisterUser
) -> None:
    register_user("Ben").comment(post_id, "Mine alone")
    page.reload()
    expect(page.locator(".comment")).to_contain_text("Mine alone")
    expect(page.locator(".comment").get_by_role("button", name="Delete")).to_have_count(0)


def test_mention_links_to_the_user_and_markup_stays_text(
    page: Page, post_id: str, register_user: RegisterUser
) -> None:
    ben = register_user("Ben")
    ben.comment(post_id, f"<b>Hi</b> @{ben.username}, ada@example.org")
    page.reload()
    comment_text = page.locator(".comment .caption")
    expect(comment_text).to_have_text(f"<b>Hi</b> @{ben.username}, ada@example.org")
    expect(comment_text.get_by_role("link")).to_have_count(1)
    comment_text.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/users/{ben.username}$"))


def test_replies_are_indented_at_most_six_levels(page: Page, ada: BrowserUser, post_id: str) -> None:
    comment_id = ada.comment(post_id, "0")
    for depth in range(1, 10):
        comment_id = ada.reply(comment_id, str(depth))
    page.reload()
    expect(page.locator(".comment")).to_have_count(10)
    expect(page.locator(".comment").last).to_have_class("comment depth-6")
