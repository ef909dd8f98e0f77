"""The API reference: search, schemas, examples, curl, requests as the signed-in user; the socket events."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import (
    DISPLAY_PROFILES,
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    save_screenshot,
)
from tests.support.console_errors import PageErrorMonitor

LOAD_TIMEOUT_MS = 60_000
"""The bundle of Swagger UI has 1.7 MB."""
CREATE_POST = "#operations-Posts-post-posts"


def _open_reference(page: Page) -> None:
    page.goto("/docs")
    expect(page.locator(".opblock").first).to_be_visible(timeout=LOAD_TIMEOUT_MS)


def _show(page: Page, operation_id: str) -> None:
    page.click(f".api-nav [data-operation='{operation_id}']")


def test_search_finds_endpoints_and_leads_to_them(open_page: OpenPage) -> None:
    page = open_page(None)
    _open_reference(page)
    links = page.locator(".api-nav [data-api-link]:visible")
    total = links.count()

    page.get_by_label("Search endpoints").fill("post /api/comments")

    expect(page.locator("#api-search-result")).to_have_text(re.compile(rf"^\d endpoints? of {total}$"))
    _show(page, "post-comments")
    operation = page.locator("#operations-Comments-post-comments")
    expect(operation.locator(".opblock-body")).to_be_visible()
    expect(operation).to_be_in_viewport()
    assert page.url.endswith("#/Comments/post-comments")
    page.get_by_label("Search endpoints").fill("")
    expect(links).to_have_count(total)


def test_operation_shows_schemas_examples_and_curl(open_page: OpenPage) -> None:
    page = open_page(None)
    page.goto("/docs#/Posts/post-posts")
    operation = page.locator(CREATE_POST)

    curl = operation.locator(".curl-example pre")
    expect(curl).to_contain_text("curl -X POST", timeout=LOAD_TIMEOUT_MS)
    expect(curl).to_contain_text("$TOKEN")
    expect(curl).to_contain_text("First swim of the year")
    expect(operation.locator(".opblock-section-request-body")).to_contain_text("First swim of the year")
    expect(operation.locator(".responses-table")).to_contain_text("likesCount")
    operation.locator(".responses-table").get_by_role("tab", name="Schema").first.click()
    expect(operation.locator(".responses-table")).to_contain_text("success")


def test_request_is_tried_as_the_signed_in_user(open_page: OpenPage, register_user: RegisterUser) -> None:
    ada = register_user("Ada")
    page = open_page(ada)
    page.goto("/docs#/Accounts/get-auth-me")
    operation = page.locator("#operations-Accounts-get-auth-me")
    expect(page.locator(".api-operations .note")).to_contain_text("as Ada", timeout=LOAD_TIMEOUT_MS)
    operation.get_by_role("button", name="Try it out").click()

    operation.get_by_role("button", name="Execute").click()

    response = operation.locator(".live-responses-table")
    expect(response).to_contain_text("200")
    expect(response).to_contain_text(ada.email)


def test_request_without_a_session_is_refused(open_page: OpenPage, page_errors: PageErrorMonitor) -> None:
    page = open_page(None)
    page_errors.expect_errors("401 (UNAUTHORIZED)")
    page.goto("/docs#/Accounts/get-auth-me")
    operation = page.locator("#operations-Accounts-get-auth-me")
    operation.get_by_role("button", name="Try it out").click(timeout=LOAD_TIMEOUT_MS)

    operation.get_by_role("button", name="Execute").click()

    expect(operation.locator(".live-responses-table")).to_contain_text("401")


@pytest.mark.parametrize("missing_file", ["swagger-ui.css", "swagger-ui-bundle.js"])
def test_page_without_the_renderer_leads_to_the_document_and_can_be_searched(
    open_page: OpenPage, page_errors: PageErrorMonitor, missing_file: str
) -> None:
    page_errors.expect_errors("404")
    page = open_page(None)
    page.route(f"**/static/vendor/{missing_file}", lambda route: route.fulfill(status=404))
    page.goto("/docs")

    message = page.get_by_role("alert")
    expect(message).to_contain_text("could not be loaded")
    expect(message.get_by_role("link")).to_have_attribute("href", "/openapi.json")
    page.get_by_label("Search endpoints").fill("post /api/comments")
    expect(page.locator("#api-search-result")).to_have_text(re.compile(r"^\d endpoints? of \d+$"))


def test_socket_events_are_beside_it(open_page: OpenPage) -> None:
    page = open_page(None)
    page.goto("/docs")
    page.get_by_role("link", name="Socket events", exact=True).click()

    expect(page.get_by_role("heading", name="Socket API")).to_be_visible()
    expect(page.locator("td code", has_text="join_room")).to_be_visible()
    page.get_by_role("link", name="Resume").click()
    expect(page.get_by_role("heading", name="Resume")).to_be_in_viewport()


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_api_reference_is_accessible(
    open_page: OpenPage, register_user: RegisterUser, display_profile: DisplayProfile
) -> None:
    page = open_page(register_user("Ada"), display_profile=display_profile)
    page.goto("/docs#/Posts/post-posts")
    operation = page.locator(CREATE_POST)
    expect(operation.locator(".curl-example pre")).to_be_visible(timeout=LOAD_TIMEOUT_MS)
    _show(page, "get-posts-id")
    expect(page.locator("#operations-Posts-get-posts-id .opblock-body")).to_be_visible()
    save_screenshot(page, f"api-reference-{display_profile.name}")

    assert_accessible(page)
    assert_no_horizontal_scroll(page)
    operation.get_by_role("button", name="Try it out").click()
    assert_accessible(page, CREATE_POST)


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_socket_page_is_accessible(open_page: OpenPage, display_profile: DisplayProfile) -> None:
    page = open_page(None, display_profile=display_profile)
    page.goto("/docs/sockets")

    save_screenshot(page, f"socket-reference-{display_profile.name}")
    assert_accessible(page)
    assert_no_horizontal_scroll(page)
