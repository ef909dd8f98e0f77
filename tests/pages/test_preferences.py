"""Preferences: kept at once, confirmed from the server; quiet hours, mutes, colours."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Meet, Visit
from tests.pages.person import Person
from tests.pages.watch import Watch


@pytest.fixture
def ada(person: Meet) -> Person:
    return person("Ada")


@pytest.fixture
def page(visit: Visit, ada: Person) -> Page:
    opened = visit(ada)
    opened.goto("/preferences")
    return opened


def kept(ada: Person) -> dict[str, object]:
    return dict(ada.call("GET", f"/api/preferences/{ada.id}")["preferences"])


def test_a_cell_is_kept_at_once(page: Page, ada: Person) -> None:
    page.get_by_label("Likes of your posts by E-mail").check()
    expect(page.locator("#saved")).to_have_text("✓ Saved")
    assert kept(ada)["matrix"]["LIKE"] == {"push": True, "email": True, "sms": False}  # type: ignore[index]


def test_a_row_and_a_column_turn_together(page: Page, ada: Person) -> None:
    page.get_by_role("button", name="New followers: all or none").click()
    expect(page.locator("#saved")).to_have_text("✓ Saved")
    assert kept(ada)["matrix"]["FOLLOW"] == {"push": True, "email": True, "sms": True}  # type: ignore[index]

    page.get_by_role("button", name="Activity by On screen: all or none").click()
    expect(page.get_by_label("Likes of your posts by On screen")).not_to_be_checked()
    expect(page.locator("#saved")).to_have_text("✓ Saved")
    assert not kept(ada)["matrix"]["LIKE"]["push"]  # type: ignore[index]
    assert kept(ada)["matrix"]["FOLLOW"]["push"]  # type: ignore[index]


def test_what_the_server_refuses_goes_back(page: Page, ada: Person, watch: Watch) -> None:
    watch.forgive("503")
    page.route(
        "**/api/preferences/*",
        lambda route: route.fulfill(status=503, json={"error": "Not now"}),
        times=1,
    )
    page.get_by_label("Text messages").check()
    expect(page.locator("#saved")).to_have_text("Not saved: Not now")
    expect(page.get_by_label("Text messages")).not_to_be_checked()


def test_quiet_hours_take_the_zone_of_the_browser_and_say_until_when(
    page: Page, ada: Person
) -> None:
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    expect(page.locator("#quiet-now")).to_contain_text("Now: everything rings at once")
    ada.call(
        "PATCH", f"/api/preferences/{ada.id}", {"dndStartTime": "00:00", "dndEndTime": "23:59"}
    )
    page.reload()
    page.get_by_label("Keep quiet at night").check()
    expect(page.locator("#quiet-now")).to_contain_text("Now: held until 23:59 (Europe/Berlin)")
    assert kept(ada)["timezone"] == "Europe/Berlin"


def test_an_emptied_time_ends_the_quiet_hours(page: Page, ada: Person) -> None:
    ada.call(
        "PATCH",
        f"/api/preferences/{ada.id}",
        {"dndEnabled": True, "dndStartTime": "00:00", "dndEndTime": "23:59", "timezone": "UTC"},
    )
    page.reload()
    expect(page.locator("#quiet-now")).to_contain_text("Now: held until 23:59")

    page.get_by_label("From", exact=True).fill("")
    expect(page.locator("#saved")).to_have_text("✓ Saved")
    expect(page.locator("#quiet-now")).to_contain_text("Now: everything rings at once")
    assert (kept(ada)["dndStartTime"], kept(ada)["dndEndTime"]) == (None, "23:59")
    page.reload()
    expect(page.get_by_label("From", exact=True)).to_have_value("")


def test_a_mute_can_be_lifted_and_set_again(page: Page, ada: Person, person: Meet) -> None:
    ben = person("Ben")
    page.goto(f"/users/{ben.username}")
    page.get_by_label("More about Ben").click()
    page.get_by_role("button", name="Mute: no news of their doings").click()
    expect(page.get_by_text("You have muted Ben.")).to_be_visible()

    page.goto("/preferences")
    page.get_by_role("button", name="Unmute").click()
    expect(page.get_by_role("button", name="Mute again")).to_be_visible()
    assert ada.call("GET", "/api/mutes")["users"] == []
    page.get_by_role("button", name="Mute again").click()
    expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    assert [one["id"] for one in ada.call("GET", "/api/mutes")["users"]] == [ben.id]


def test_a_blocked_profile_is_hidden_until_the_block_is_lifted(
    page: Page, ada: Person, person: Meet, watch: Watch
) -> None:
    ben = person("Ben")
    page.goto(f"/users/{ben.username}")
    page.get_by_label("More about Ben").click()
    page.get_by_role("button", name="Block:").click()
    expect(page).to_have_url("/preferences")
    watch.forgive("404")
    page.goto(f"/users/{ben.username}")
    expect(page.get_by_role("heading", level=1)).to_have_text("User not found")

    page.goto("/preferences")
    page.get_by_role("button", name="Unblock").click()
    expect(page.get_by_role("button", name="Block again")).to_be_visible()
    page.goto(f"/users/{ben.username}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ben")


def test_chosen_colours_last(page: Page) -> None:
    def ground() -> str:
        body = page.locator("body")
        return str(body.evaluate("(one) => getComputedStyle(one).backgroundColor"))

    light = ground()
    page.get_by_role("button", name="Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = ground()
    page.goto("/")
    assert (light != dark, ground()) == (True, dark)
    page.goto("/preferences")
    page.get_by_role("button", name="As my machine").click()
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")
    assert ground() == light
