"""The way in: registering, logging in, and back to where one wanted to go."""

from playwright.sync_api import Page, expect

from tests.pages.conftest import Meet, Visit
from tests.pages.person import PASSWORD


def test_the_anonymous_are_sent_to_log_in_and_come_back(visit: Visit, person: Meet) -> None:
    ada = person("Ada")
    page: Page = visit(None)

    page.goto("/notifications")
    expect(page).to_have_url("/login?next=/notifications")
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    expect(page).to_have_url("/notifications")
