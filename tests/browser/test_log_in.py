"""Logging in, and the redirect back to the requested page."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.user import PASSWORD


def test_anonymous_user_is_redirected_to_log_in_and_back(
    open_page: OpenPage, register_user: RegisterUser
) -> None:
    ada = register_user("Ada")
    page: Page = open_page(None)

    page.goto("/notifications")
    expect(page).to_have_url("/login?next=/notifications")
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    expect(page).to_have_url("/notifications")
