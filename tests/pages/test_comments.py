"""Comments on a post's page: written, answered, deleted; mentions lead to people."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Meet, Visit
from tests.pages.person import Person


@pytest.fixture
def ada(person: Meet) -> Person:
    return person("Ada")


@pytest.fixture
def post(ada: Person) -> str:
    return ada.posts("Hello")


@pytest.fixture
def page(visit: Visit, ada: Person, post: str) -> Page:
    opened = visit(ada)
    opened.goto(f"/posts/{post}")
    return opened


def test_a_comment_appears_without_leaving_the_page(page: Page) -> None:
    page.evaluate("window.stayed = true")
    page.get_by_label("Your comment").fill("One")
    page.get_by_label("Your comment").press("Enter")
    expect(page.locator(".comment")).to_contain_text("One")
    expect(page.locator("[data-comments]")).to_have_text("1")

    page.locator(".comment summary").click()
    page.get_by_label("Your reply to Ada").fill("Two")
    page.get_by_label("Your reply to Ada").press("Enter")
    expect(page.locator(".comment.depth-1")).to_contain_text("Two")

    delete = page.locator(".depth-1").get_by_role("button", name="Delete")
    delete.click()
    page.locator(".depth-1").get_by_role("button", name="Really delete?").click()
    expect(page.locator(".comment")).to_have_count(1)
    assert page.evaluate("window.stayed")


def test_words_of_others_wait_until_one_asks_for_them(page: Page, post: str, person: Meet) -> None:
    expect(page.locator("#connection")).to_be_hidden()
    ben = person("Ben")
    ben.replies(ben.comments(post, "First"), "Second")
    show = page.get_by_role("button", name="Show 2 new")
    expect(show).to_be_visible()
    expect(page.locator(".comment")).to_have_count(0)
    show.click()
    expect(page.locator(".comment")).to_have_count(2)


def test_only_ones_own_words_can_be_deleted(page: Page, post: str, person: Meet) -> None:
    person("Ben").comments(post, "Mine alone")
    page.reload()
    expect(page.locator(".comment")).to_contain_text("Mine alone")
    expect(page.locator(".comment").get_by_role("button", name="Delete")).to_have_count(0)


def test_a_mention_leads_to_the_person_and_markup_stays_text(
    page: Page, post: str, person: Meet
) -> None:
    ben = person("Ben")
    ben.comments(post, f"<b>Hi</b> @{ben.username}, ada@example.org")
    page.reload()
    said = page.locator(".comment .caption")
    expect(said).to_have_text(f"<b>Hi</b> @{ben.username}, ada@example.org")
    expect(said.get_by_role("link")).to_have_count(1)
    said.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/users/{ben.username}$"))


def test_a_conversation_may_be_deeper_than_a_phone_is_wide(
    page: Page, ada: Person, post: str
) -> None:
    said = ada.comments(post, "0")
    for depth in range(1, 10):
        said = ada.replies(said, str(depth))
    page.reload()
    expect(page.locator(".comment")).to_have_count(10)
    expect(page.locator(".comment").last).to_have_class("comment depth-6")
