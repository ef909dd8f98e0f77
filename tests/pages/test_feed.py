"""The feed: lists that go on, likes that paint at once and take it back, sharing, deleting."""

import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.pages.conftest import Meet, Visit
from tests.pages.looks import moved, shifts, watch_shifts
from tests.pages.person import Person
from tests.pages.watch import PICTURES, Watch
from tests.services.crew import until

PICTURE, GONE = PICTURES + "swim.svg", PICTURES + "gone"


@pytest.fixture
def ada(person: Meet) -> Person:
    return person("Ada")


@pytest.fixture
def page(visit: Visit, ada: Person) -> Page:
    return visit(ada)


def test_the_list_goes_on_by_itself_and_has_an_end(page: Page, ada: Person) -> None:
    for number in range(45):
        ada.posts(f"Number {number}")
    page.goto(f"/users/{ada.username}")
    expect(page.get_by_role("article").first).to_be_visible()
    while page.locator("[data-older]").count():
        page.mouse.wheel(0, 20_000)
    expect(page.get_by_role("article")).to_have_count(45)
    page.get_by_role("article").last.get_by_role("button", name="Like").click()
    expect(page.get_by_role("article").last.locator("[data-likes]")).to_have_text("1")


def test_a_list_that_does_not_load_says_so_and_tries_again(
    page: Page, ada: Person, watch: Watch
) -> None:
    watch.forgive("500")
    for number in range(21):
        ada.posts(f"Number {number}")
    page.route("**/*cursor=*", lambda route: route.fulfill(status=500), times=1)
    page.goto(f"/users/{ada.username}")
    page.mouse.wheel(0, 20_000)
    again = page.get_by_role("link", name="That did not load. Try again")
    again.click()
    expect(page.get_by_role("article")).to_have_count(21)


def test_a_like_that_fails_is_taken_back(page: Page, ada: Person, watch: Watch) -> None:
    watch.forgive("503")
    ada.posts("Hello")
    page.goto(f"/users/{ada.username}")
    held: list[Route] = []
    page.route("**/like", lambda route: held.append(route))
    like = page.get_by_role("button", name="Like")

    like.click()
    expect(like).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-likes]")).to_have_text("1")
    held[0].fulfill(status=503, json={"success": False, "error": "Not now"})

    expect(like).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-likes]")).to_have_text("0")
    expect(page.locator("#toasts")).to_contain_text("Not now")


def test_of_many_clicks_the_last_wish_counts(page: Page, ada: Person) -> None:
    post = ada.posts("Hello")
    page.goto(f"/users/{ada.username}")
    like = page.get_by_role("button", name="Like")
    sent: list[Request] = []
    page.on("request", lambda one: sent.append(one) if one.url.endswith("/like") else None)
    for _ in range(5):
        like.click()
    expect(like).to_have_attribute("aria-pressed", "true")
    until(lambda: sent and page.title() and all(one.response() for one in sent), 60, "answers")
    page.reload()
    expect(like).to_have_attribute("aria-pressed", "true")
    assert ada.call("GET", f"/api/posts/{post}")["post"]["likesCount"] == 1


def test_nothing_moves_while_others_like(page: Page, ada: Person, person: Meet) -> None:
    post = ada.posts("Hello")
    page.goto(f"/posts/{post}")
    expect(page.locator("#connection")).to_be_hidden()
    watch_shifts(page)
    for name in ("Ben", "Cem", "Dan", "Eve"):
        person(name).likes(post)
    expect(page.locator("[data-likes]")).to_have_text("4")
    assert shifts(page) == 0, moved(page)


def test_sharing_copies_the_link(page: Page, ada: Person) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    post = ada.posts("Hello")
    page.goto(f"/users/{ada.username}")
    page.get_by_role("button", name="Share: copy the link").click()
    expect(page.locator("#toasts")).to_contain_text("Link copied")
    assert page.evaluate("navigator.clipboard.readText()").endswith(f"/posts/{post}")


def test_deleting_asks_first(page: Page, ada: Person) -> None:
    ada.posts("Hello")
    page.goto(f"/users/{ada.username}")
    page.get_by_label("More about this post").click()
    page.get_by_role("button", name="Delete the post").click()
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("button", name="Really delete?").click()
    expect(page.get_by_role("article")).to_have_count(0)


def test_a_picture_is_previewed_before_it_is_posted(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Add a picture").click()
    address = page.get_by_label("Address of the picture (https)")
    address.fill(PICTURE)
    address.blur()
    expect(page.get_by_alt_text("Preview of the picture")).to_be_visible()
    page.get_by_role("button", name="Post", exact=True).click()
    mine = page.get_by_role("article").first
    expect(mine.get_by_alt_text("Picture of the post")).to_be_visible()


def test_a_picture_that_does_not_come_breaks_nothing(page: Page, ada: Person, watch: Watch) -> None:
    watch.forgive("404")
    post = ada.posts("Gone", imageUrl=GONE)
    page.goto(f"/users/{ada.username}")
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_alt_text("Picture of the post")).to_have_count(0)
    ada.call("DELETE", f"/api/posts/{post}")  # or the feeds of other tests would miss it as well


def test_letters_are_counted(page: Page) -> None:
    page.goto("/")
    page.get_by_label(re.compile("^What is new")).fill("x" * 2190)
    expect(page.locator("[data-counter=caption]")).to_have_text("10 characters left")
