"""What the fields of a page count and refuse is what the server counts and refuses."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.domain.text import initials, normalize
from tests.pages.conftest import Meet, Visit
from tests.pages.person import Person
from tests.pages.watch import Watch

EMOJI, FAMILY = "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467"
VALID = "field => field.checkValidity()"


@pytest.fixture
def ada(person: Meet) -> Person:
    return person("Ada")


@pytest.fixture
def page(visit: Visit, ada: Person) -> Page:
    opened = visit(ada)
    opened.goto("/")
    return opened


@pytest.mark.parametrize(
    "unit", ["x", "a\n", EMOJI, FAMILY, "e\u0301", "\u0958", "\ufb2c", "\u1100\u1161"]
)
def test_a_caption_fits_in_the_field_exactly_when_the_server_takes_it(
    page: Page, ada: Person, watch: Watch, unit: str
) -> None:
    field = page.get_by_label(re.compile("^What is new"))
    size = len(normalize(unit))
    fits = unit * (2_199 // size)
    fits += "x" * (2_200 - len(normalize(fits)))

    field.fill(fits)
    expect(page.locator("[data-counter=caption]")).to_have_text("0 characters left")
    assert field.evaluate(VALID)
    field.fill(fits + "x")
    expect(page.locator("[data-counter=caption]")).to_have_text("1 character too many")
    assert not field.evaluate(VALID)
    field.fill(fits)
    page.get_by_role("button", name="Post", exact=True).click()

    expect(page.get_by_role("article")).not_to_have_count(0)
    mine = ada.call("GET", f"/api/posts?userId={ada.id}")["posts"]
    assert [one["caption"] for one in mine] == [normalize(fits)]


def test_a_comment_that_is_too_long_is_not_sent(page: Page, person: Meet) -> None:
    post = person("Ben").posts("Hello")
    page.goto(f"/posts/{post}")
    page.get_by_label("Your comment").fill(EMOJI * 1_001)
    page.get_by_role("button", name="Send").first.click()
    assert page.get_by_label("Your comment").evaluate("field => field.validationMessage") == (
        "1 character too many"
    )
    page.get_by_label("Your comment").fill(EMOJI * 1_000)
    page.get_by_role("button", name="Send").first.click()
    expect(page.locator(".comment")).to_contain_text(EMOJI * 1_000)


def test_a_password_that_is_too_short_is_not_sent(visit: Visit) -> None:
    """Eight UTF-16 units, five characters."""
    page = visit(None)
    page.goto("/register")
    page.get_by_label("Password").fill("Aa1" + EMOJI * 2)
    assert not page.get_by_label("Password").evaluate(VALID)
    page.get_by_label("Password").fill("Aa1" + EMOJI * 5)
    assert page.get_by_label("Password").evaluate(VALID)


def test_a_search_that_is_too_long_says_so(page: Page) -> None:
    page.get_by_role("combobox", name="Search people").fill("x" * 101)
    expect(page.get_by_role("listbox", name="People")).to_have_text("1 character too many")


def test_scripts_and_server_draw_the_same_initials(page: Page) -> None:
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
    drawn = page.evaluate(
        "async (names) => names.map((await import('/static/initials.js')).initials)", names
    )
    assert drawn == [initials(name) for name in names]
