"""Searching people: in the bar while one types, and on its page."""

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.pages.conftest import Meet, Visit
from tests.pages.person import Person


@pytest.fixture
def mark() -> str:
    """A word that only people of this test have in their names."""
    return "z" + secrets.token_hex(4)


@pytest.fixture
def found(person: Meet, mark: str) -> list[Person]:
    return [person(f"{mark} One"), person(f"{mark} Two")]


@pytest.fixture
def page(visit: Visit, person: Meet) -> Page:
    opened = visit(person("Ada"))
    opened.goto("/")
    return opened


def people(page: Page) -> Locator:
    """What drops from the bar."""
    return page.get_by_role("listbox", name="People")


def test_arrows_choose_and_enter_opens(page: Page, mark: str, found: list[Person]) -> None:
    box = page.get_by_role("combobox", name="Search people")
    box.press_sequentially(mark)
    expect(people(page).get_by_role("option")).to_have_count(2)
    box.press("ArrowDown")
    box.press("ArrowDown")
    expect(people(page).get_by_role("option", selected=True)).to_have_count(1)
    box.press("ArrowUp")
    box.press("Enter")
    expect(page).to_have_url(re.compile(f"/users/({found[0].username}|{found[1].username})$"))


def test_escape_closes_and_typing_asks_once(page: Page, mark: str, found: list[Person]) -> None:
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/users/search" in one.url else None)
    box = page.get_by_role("combobox", name="Search people")
    box.press_sequentially(mark)
    expect(people(page).get_by_role("option")).to_have_count(2)
    assert len(asked) < len(mark)
    box.press("Escape")
    expect(people(page).get_by_role("option")).to_have_count(0)
    expect(box).to_have_attribute("aria-expanded", "false")


def test_nobody_is_said(page: Page, mark: str) -> None:
    page.get_by_role("combobox", name="Search people").press_sequentially(mark)
    expect(people(page)).to_have_text("Nobody found")


def test_results_have_a_page_where_one_can_follow(
    page: Page, mark: str, found: list[Person]
) -> None:
    page.get_by_role("combobox", name="Search people").fill(mark)
    page.get_by_role("combobox", name="Search people").press("Enter")
    expect(page).to_have_url(re.compile(f"/search.q={mark}"))
    expect(page.locator(".people li")).to_have_count(2)
    page.wait_for_load_state("load")  # before its script is there the form would go the plain way
    with page.expect_response("**/api/follows/*"):  # the button turns before it
        page.locator(".people").get_by_role("button", name="Follow").first.click()
    expect(page.locator(".people").get_by_role("button", name="Following")).to_have_count(1)
    page.reload()
    expect(page.locator(".people").get_by_role("button", name="Following")).to_have_count(1)
