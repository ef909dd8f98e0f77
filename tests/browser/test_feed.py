"""The feed: pagination, optimistic likes, sharing, deleting, images."""

import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import (
    layout_shift_details,
    layout_shift_score,
    record_layout_shifts,
)
from tests.support.console_errors import IMAGE_BASE_URL, PageErrorMonitor
from tests.support.user import BrowserUser

IMAGE_URL, MISSING_IMAGE_URL = IMAGE_BASE_URL + "swim.svg", IMAGE_BASE_URL + "gone"


@pytest.fixture
def page(open_page: OpenPage, ada: BrowserUser) -> Page:
    return open_page(ada)


def test_feed_loads_more_on_scroll_and_ends(page: Page, ada: BrowserUser) -> None:
    for number in range(45):
        ada.create_post(f"Number {number}")
    page.goto(f"/users/{ada.username}")
    expect(page.get_by_role("article").first).to_be_visible()
    while page.locator("[data-older]").count():
        page.mouse.wheel(0, 20_000)
    expect(page.get_by_role("article")).to_have_count(45)
    page.get_by_role("article").last.get_by_role("button", name="Like").click()
    expect(page.get_by_role("article").last.locator("[data-likes]")).to_have_text("1")


def test_failed_next_page_shows_an_error_and_can_be_retried(
    page: Page, ada: BrowserUser, page_errors: PageErrorMonitor
) -> None:
    page_errors.expect_errors("500")
    for number in range(21):
        ada.create_post(f"Number {number}")
    page.route("**/*cursor=*", lambda route: route.fulfill(status=500), times=1)
    page.goto(f"/users/{ada.username}")
    page.mouse.wheel(0, 20_000)
    page.get_by_role("link", name="That did not load. Try again").click()
    expect(page.get_by_role("article")).to_have_count(21)


def test_failed_like_is_rolled_back(page: Page, ada: BrowserUser, page_errors: PageErrorMonitor) -> None:
    page_errors.expect_errors("503")
    ada.create_post("Hello")
    page.goto(f"/users/{ada.username}")
    pending_requests: list[Route] = []
    page.route("**/like", lambda route: pending_requests.append(route))
    like_button = page.get_by_role("button", name="Like")

    like_button.click()
    expect(like_button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-likes]")).to_have_text("1")
    pending_requests[0].fulfill(status=503, json={"success": False, "error": "Not now"})

    expect(like_button).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-likes]")).to_have_text("0")
    expect(page.locator("#toasts")).to_contain_text("Not now")


def test_last_of_many_clicks_decides_the_like(page: Page, ada: BrowserUser) -> None:
    post_id = ada.create_post("Hello")
    page.goto(f"/users/{ada.username}")
    like_button = page.get_by_role("button", name="Like")
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request) if request.url.endswith("/like") else None)
    for _ in range(5):
        like_button.click()
    expect(like_button).to_have_attribute("aria-pressed", "true")
    wait_until(
        lambda: requests and page.title() and all(request.response() for request in requests),
        "responses",
        60,
    )
    page.reload()
    expect(like_button).to_have_attribute("aria-pressed", "true")
    assert ada.request_ok("GET", f"/api/posts/{post_id}")["post"]["likesCount"] == 1


def test_feed_does_not_shift_while_others_like(
    page: Page, ada: BrowserUser, register_user: RegisterUser
) -> None:
    post_id = ada.create_post("Hello")
    page.goto(f"/posts/{post_id}")
    expect(page.locator("#connection")).to_be_hidden()
    record_layout_shifts(page)
    for name in ("Ben", "Cem", "Dan", "Eve"):
        register_user(name).like(post_id)
    expect(page.locator("[data-likes]")).to_have_text("4")
    assert layout_shift_score(page) == 0, layout_shift_details(page)


def test_sharing_copies_the_link(page: Page, ada: BrowserUser) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    post_id = ada.create_post("Hello")
    page.goto(f"/users/{ada.username}")
    page.get_by_role("button", name="Share: copy the link").click()
    expect(page.locator("#toasts")).to_contain_text("Link copied")
    assert page.evaluate("navigator.clipboard.readText()").endswith(f"/posts/{post_id}")


def test_deleting_a_post_needs_a_confirmation(page: Page, ada: BrowserUser) -> None:
    ada.create_post("Hello")
    page.goto(f"/users/{ada.username}")
    page.get_by_label("More about this post").click()
    page.get_by_role("button", name="Delete the post").click()
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("button", name="Really delete?").click()
    expect(page.get_by_role("article")).to_have_count(0)


def test_image_is_previewed_before_posting(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Add a picture").click()
    address = page.get_by_label("Address of the picture (https)")
    address.fill(IMAGE_URL)
    address.blur()
    expect(page.get_by_alt_text("Preview of the picture")).to_be_visible()
    page.get_by_role("button", name="Post", exact=True).click()
    new_post = page.get_by_role("article").first
    expect(new_post.get_by_alt_text("Picture of the post")).to_be_visible()


def test_missing_image_breaks_nothing(page: Page, ada: BrowserUser, page_errors: PageErrorMonitor) -> None:
    page_errors.expect_errors("404")
    post_id = ada.create_post("Gone", imageUrl=MISSING_IMAGE_URL)
    page.goto(f"/users/{ada.username}")
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_alt_text("Picture of the post")).to_have_count(0)
    ada.request_ok("DELETE", f"/api/posts/{post_id}")  # otherwise the feeds of other tests would show it


def test_character_counter_counts_the_caption(page: Page) -> None:
    page.goto("/")
    page.get_by_label(re.compile("^What is new")).fill("x" * 2190)
    expect(page.locator("[data-counter=caption]")).to_have_text("10 characters left")
