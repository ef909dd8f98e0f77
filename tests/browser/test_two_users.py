"""Two users from registration to the toast, entirely through the pages."""

import re
import secrets

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.user import PASSWORD


def register(page: Page, name: str) -> str:
    """Registers through the form; returns the user name."""
    username = f"{name.lower()}_{secrets.token_hex(4)}"
    page.goto("/register")
    page.get_by_label("E-mail").fill(f"{username}@example.org")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Name (optional)").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()
    expect(page).to_have_url("/")
    return username


def test_registration_to_toast_with_two_users(open_page: OpenPage) -> None:
    ada, ben = open_page(None), open_page(None)
    ada_username = register(ada, "Ada")
    ada.get_by_label("What is new, Ada?").fill("First swim of the year")
    ada.get_by_role("button", name="Post", exact=True).click()
    expect(ada.get_by_role("article").first).to_contain_text("First swim of the year")

    register(ben, "Ben")
    ben.get_by_role("combobox", name="Search people").press_sequentially(ada_username[:9])
    ben.get_by_role("option").filter(has_text=ada_username).click()
    expect(ben.get_by_role("heading", level=1)).to_have_text("Ada")
    ben.locator(".profile").get_by_role("button", name="Follow").click()
    expect(ben.get_by_role("link", name="1 follower", exact=True)).to_be_visible()
    ben.get_by_role("button", name="Like").click()
    expect(ben.get_by_role("button", name="Like")).to_have_attribute("aria-pressed", "true")

    toasts = ada.locator("#toasts")
    expect(toasts).to_contain_text("Ben liked your post")
    expect(ada.locator("[data-likes]").first).to_have_text("1")
    expect(ada.locator("#badge")).to_have_text("2")
    expect(ada).to_have_title(re.compile(r"^\(2\) "))

    ada.locator("#toasts").get_by_role("link", name="Ben liked your post").click()
    expect(ada).to_have_url(re.compile("/posts/"))
    ada.get_by_role("link", name="1 like: who").click()
    expect(ada.locator(".people")).to_contain_text("Ben")
