"""Enters the demo in a browser."""

import re

from playwright.sync_api import Page, expect

PROFILE_URL = re.compile(r"/users/ada_\w+$")


def enter_as_ada(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Enter as Ada").click()
    expect(page).to_have_url(PROFILE_URL)
