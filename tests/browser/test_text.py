"""Form fields count and refuse text exactly as the server does."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.domain.text import initials, normalize_text
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.console_errors import PageErrorMonitor
from tests.support.user import BrowserUser

EMOJI, FAMILY = "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467"
CHECK_VALIDITY = "field => field.checkValidity()"
PASTE = """(field, text) => {
    field.value = text
    field.dispatchEvent(new Event("input", {bubbles: true}))
}"""
"""Typing more than a thousand lines takes Chromium 25 s."""


@pytest.mark.parametrize("unit", ["x", "a\n", EMOJI, FAMILY, "e\u0301", "\u0958", "\ufb2c", "\u1100\u1161"])
def test_caption_field_accepts_exactly_what_the_server_accepts(
    page: Page, ada: BrowserUser, page_errors: PageErrorMonitor, unit: str
) -> None:
    field = page.get_by_label(re.compile("^What is new"))
    size = len(normalize_text(unit))
    longest_caption = unit * (2_199 // size)
    longest_caption += "x" * (2_200 - len(normalize_text(longest_caption)))

    field.evaluate(PASTE, longest_caption)
    expect(page.locator("[data-counter=caption]")).to_have_text("0 characters left")
    assert field.evaluate(CHECK_VALIDITY)
    field.evaluate(PASTE, longest_caption + "x")
    expect(page.locator("[data-counter=caption]")).to_have_text("1 character too many")
    assert not field.evaluate(CHECK_VALIDITY)
    field.evaluate(PASTE, longest_caption)
    page.get_by_role("button", name="Post", exact=True).click()

    expect(page.get_by_role("article")).not_to_have_count(0)
    posts = ada.request_ok("GET", f"/api/posts?userId={ada.id}")["posts"]
    assert [post["caption"] for post in posts] == [normalize_text(longest_caption)]


def test_overlong_comment_is_not_sent(page: Page, register_user: RegisterUser) -> None:
    post_id = register_user("Ben").create_post("Hello")
    page.goto(f"/posts/{post_id}")
    page.get_by_label("Your comment").fill(EMOJI * 1_001)
    page.get_by_role("button", name="Send").first.click()
    assert page.get_by_label("Your comment").evaluate("field => field.validationMessage") == (
        "1 character too many"
    )
    page.get_by_label("Your comment").fill(EMOJI * 1_000)
    page.get_by_role("button", name="Send").first.click()
    expect(page.locator(".comment")).to_contain_text(EMOJI * 1_000)


def test_short_password_is_not_sent(open_page: OpenPage) -> None:
    """The first password has eight UTF-16 units but five characters."""
    page = open_page(None)
    page.goto("/register")
    page.get_by_label("Password").fill("Aa1" + EMOJI * 2)
    assert not page.get_by_label("Password").evaluate(CHECK_VALIDITY)
    page.get_by_label("Password").fill("Aa1" + EMOJI * 5)
    assert page.get_by_label("Password").evaluate(CHECK_VALIDITY)


def test_overlong_search_shows_an_error(page: Page) -> None:
    page.get_by_role("combobox", name="Search people").fill("x" * 101)
    expect(page.get_by_role("listbox", name="People")).to_have_text("1 character too many")


def test_script_and_server_render_the_same_initials(page: Page) -> None:
    names = [
        "Ada Lovelace",
        "x\u0301yz",
        "\u0939\u093f\u0928 A",
        FAMILY,
        "",
        "ßa",
        "王 小明",
        "- a",
    ]
    rendered = page.evaluate(
        "async (names) => names.map((await import('/static/initials.js')).initials)", names
    )
    assert rendered == [initials(name) for name in names]
