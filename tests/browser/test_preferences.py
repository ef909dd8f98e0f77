"""The page of preferences: saved at once; quiet hours, mutes, blocks, colour scheme."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.console_errors import PageErrorMonitor
from tests.support.user import BrowserUser


@pytest.fixture
def page(open_page: OpenPage, ada: BrowserUser) -> Page:
    preferences_page = open_page(ada)
    preferences_page.goto("/preferences")
    return preferences_page


def saved_preferences(ada: BrowserUser) -> dict[str, object]:
    return dict(ada.request_ok("GET", f"/api/preferences/{ada.id}")["preferences"])


def test_preference_cell_is_saved_at_once(page: Page, ada: BrowserUser) -> None:
    page.get_by_label("Likes on your posts: E-mail").check()
    expect(page.locator("#saved")).to_have_text("✓ Saved")
    assert saved_preferences(ada)["matrix"]["LIKE"] == {"push": True, "email": True, "sms": False}  # type: ignore[index]


def test_row_and_column_toggles_change_all_their_cells(page: Page, ada: BrowserUser) -> None:
    page.get_by_role("button", name="New followers everywhere").click()
    expect(page.locator("#saved")).to_have_text("✓ Saved")
    assert saved_preferences(ada)["matrix"]["FOLLOW"] == {"push": True, "email": True, "sms": True}  # type: ignore[index]

    page.get_by_role("button", name="In-app for all of Activity").click()
    expect(page.get_by_label("Likes on your posts: In-app")).not_to_be_checked()
    expect(page.locator("#saved")).to_have_text("✓ Saved")
    assert not saved_preferences(ada)["matrix"]["LIKE"]["push"]  # type: ignore[index]
    assert saved_preferences(ada)["matrix"]["FOLLOW"]["push"]  # type: ignore[index]


def test_preference_refused_by_the_server_is_rolled_back(
    page: Page, ada: BrowserUser, page_errors: PageErrorMonitor
) -> None:
    page_errors.expect_errors("503")
    page.route(
        "**/api/preferences/*",
        lambda route: route.fulfill(status=503, json={"error": "Not now"}),
        times=1,
    )
    page.get_by_label("SMS", exact=True).check()
    expect(page.locator("#saved")).to_have_text("Not saved: Not now")
    expect(page.get_by_label("SMS", exact=True)).not_to_be_checked()


def test_quiet_hours_use_the_browser_time_zone_and_show_their_end(page: Page, ada: BrowserUser) -> None:
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    expect(page.locator("#quiet-now")).to_contain_text("Now: notifications arrive at once")
    ada.request_ok("PATCH", f"/api/preferences/{ada.id}", {"dndStartTime": "00:00", "dndEndTime": "23:59"})
    page.reload()
    page.get_by_label("Use quiet hours").check()
    expect(page.locator("#quiet-now")).to_contain_text("Now: quiet until 23:59 (Europe/Berlin)")
    assert saved_preferences(ada)["timezone"] == "Europe/Berlin"


def test_clearing_a_time_ends_the_quiet_hours(page: Page, ada: BrowserUser) -> None:
    ada.request_ok(
        "PATCH",
        f"/api/preferences/{ada.id}",
        {"dndEnabled": True, "dndStartTime": "00:00", "dndEndTime": "23:59", "timezone": "UTC"},
    )
    page.reload()
    expect(page.locator("#quiet-now")).to_contain_text("Now: quiet until 23:59")

    page.get_by_label("From", exact=True).fill("")
    expect(page.locator("#saved")).to_have_text("✓ Saved")
    expect(page.locator("#quiet-now")).to_contain_text("Now: notifications arrive at once")
    assert (saved_preferences(ada)["dndStartTime"], saved_preferences(ada)["dndEndTime"]) == (None, "23:59")
    page.reload()
    expect(page.get_by_label("From", exact=True)).to_have_value("")


def test_mute_can_be_lifted_and_set_again(page: Page, ada: BrowserUser, register_user: RegisterUser) -> None:
    ben = register_user("Ben")
    page.goto(f"/users/{ben.username}")
    page.get_by_label("More about Ben").click()
    page.get_by_role("button", name="Mute notifications").click()
    expect(page.get_by_text("You have muted Ben.")).to_be_visible()

    page.goto("/preferences")
    page.get_by_role("button", name="Unmute").click()
    expect(page.get_by_role("button", name="Mute again")).to_be_visible()
    assert ada.request_ok("GET", "/api/mutes")["users"] == []
    page.get_by_role("button", name="Mute again").click()
    expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    assert [user["id"] for user in ada.request_ok("GET", "/api/mutes")["users"]] == [ben.id]


def test_blocked_profile_is_hidden_until_unblocked(
    page: Page, ada: BrowserUser, register_user: RegisterUser, page_errors: PageErrorMonitor
) -> None:
    ben = register_user("Ben")
    page.goto(f"/users/{ben.username}")
    page.get_by_label("More about Ben").click()
    page.get_by_role("button", name="Block", exact=True).click()
    expect(page).to_have_url("/preferences")
    page_errors.expect_errors("404")
    page.goto(f"/users/{ben.username}")
    expect(page.get_by_role("heading", level=1)).to_have_text("User not found")

    page.goto("/preferences")
    page.get_by_role("button", name="Unblock").click()
    expect(page.get_by_role("button", name="Block again")).to_be_visible()
    page.goto(f"/users/{ben.username}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ben")


def test_chosen_theme_is_kept(page: Page) -> None:
    def background_color() -> str:
        body = page.locator("body")
        return str(body.evaluate("(element) => getComputedStyle(element).backgroundColor"))

    light_color = background_color()
    page.get_by_role("button", name="Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark_color = background_color()
    page.goto("/")
    assert light_color != dark_color == background_color()
    page.goto("/preferences")
    page.get_by_role("button", name="System").click()
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")
    assert background_color() == light_color
