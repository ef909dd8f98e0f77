"""Searching users: suggestions while typing, and the results page."""

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import RegisterUser
from tests.support.user import BrowserUser


@pytest.fixture
def unique_suffix() -> str:
    """A word that occurs only in the names of this test's users."""
    return "z" + secrets.token_hex(4)


@pytest.fixture
def matching_users(register_user: RegisterUser, unique_suffix: str) -> list[BrowserUser]:
    return [register_user(f"{unique_suffix} One"), register_user(f"{unique_suffix} Two")]


def suggestions(page: Page) -> Locator:
    return page.get_by_role("listbox", name="People")


def test_arrow_keys_select_and_enter_opens_a_result(
    page: Page, unique_suffix: str, matching_users: list[BrowserUser]
) -> None:
    search_field = page.get_by_role("combobox", name="Search people")
    search_field.press_sequentially(unique_suffix)
    expect(suggestions(page).get_by_role("option")).to_have_count(2)
    search_field.press("ArrowDown")
    search_field.press("ArrowDown")
    expect(suggestions(page).get_by_role("option", selected=True)).to_have_count(1)
    search_field.press("ArrowUp")
    search_field.press("Enter")
    expect(page).to_have_url(
        re.compile(f"/users/({matching_users[0].username}|{matching_users[1].username})$")
    )


def test_escape_closes_results_and_typing_sends_one_request(
    page: Page, unique_suffix: str, matching_users: list[BrowserUser]
) -> None:
    search_requests: list[str] = []
    page.on(
        "request",
        lambda request: search_requests.append(request.url) if "/users/search" in request.url else None,
    )
    search_field = page.get_by_role("combobox", name="Search people")
    search_field.press_sequentially(unique_suffix)
    expect(suggestions(page).get_by_role("option")).to_have_count(2)
    assert len(search_requests) < len(unique_suffix)
    search_field.press("Escape")
    expect(suggestions(page).get_by_role("option")).to_have_count(0)
    expect(search_field).to_have_attribute("aria-expanded", "false")


def test_search_without_match_shows_an_empty_message(page: Page, unique_suffix: str) -> None:
    page.get_by_role("combobox", name="Search people").press_sequentially(unique_suffix)
    expect(suggestions(page)).to_have_text("Nobody found")


def test_search_results_page_offers_follow(
    page: Page, unique_suffix: str, matching_users: list[BrowserUser]
) -> None:
    page.get_by_role("combobox", name="Search people").fill(unique_suffix)
    page.get_by_role("combobox", name="Search people").press("Enter")
    expect(page).to_have_url(re.compile(f"/search.q={unique_suffix}"))
    expect(page.locator(".people li")).to_have_count(2)
    page.wait_for_load_state("load")  # until its script has loaded, the form would navigate
    with page.expect_response("**/api/follows/*"):  # the button changes before the response
        page.locator(".people").get_by_role("button", name="Follow").first.click()
    expect(page.locator(".people").get_by_role("button", name="Following")).to_have_count(1)
    page.reload()
    expect(page.locator(".people").get_by_role("button", name="Following")).to_have_count(1)
