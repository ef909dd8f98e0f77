"""The front page for anonymous users, and "Enter as Ada" on an empty system."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import Engine, text

from tests.browser.conftest import OpenPage
from tests.support.accessibility import (
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    assert_target_sizes,
    layout_shift_details,
    layout_shift_score,
    record_layout_shifts,
    save_screenshot,
)
from tests.support.admin import live_database as live_database
from tests.support.demo import enter_as_ada

DISPLAY_PROFILES = [
    pytest.param(profile, id=profile.name, marks=() if is_quick else pytest.mark.drill)
    for profile, is_quick in (
        (DisplayProfile(320, 640, "light"), True),
        (DisplayProfile(320, 640, "dark"), False),
        (DisplayProfile(768, 800, "light"), False),
        (DisplayProfile(1024, 800, "dark"), False),
        (DisplayProfile(1280, 800, "light"), False),
        (DisplayProfile(1280, 800, "dark"), True),
        (DisplayProfile(1920, 1000, "light"), False),
    )
]
"""`make test` runs the extremes of common screens; `make drill` runs all."""


@pytest.fixture
def without_demo(live_database: Engine) -> None:
    """No demo people, as on an empty system."""
    with live_database.begin() as conn:
        conn.execute(text("delete from users where email like '%@chime.example'"))


def test_front_page_shows_live_figures_and_leads_in(open_page: OpenPage) -> None:
    page = open_page(None)
    page.goto("/")

    expect(page.get_by_role("heading", level=1)).to_contain_text("when a post goes viral")
    for name in ("accepted", "waiting", "openWindows", "written", "delivered"):
        expect(page.locator(f"[data-figure={name}]")).to_have_text(re.compile(r"^[\d,]+$"))
    expect(page.locator(".pipeline-picture").get_by_role("listitem")).to_have_count(5)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.get_by_role("link", name="Create an account").click()
    expect(page).to_have_url("/register?next=/")


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_front_page_is_accessible_and_does_not_shift(
    open_page: OpenPage, display_profile: DisplayProfile
) -> None:
    page = open_page(None, display_profile=display_profile)
    page.goto("/")
    record_layout_shifts(page)
    expect(page.locator("[data-figure=accepted]")).to_have_text(re.compile(r"\d"))

    save_screenshot(page, f"front-page-{display_profile.name}", is_full_page=True)
    assert_accessible(page)
    assert_target_sizes(page)
    assert_no_horizontal_scroll(page)
    assert layout_shift_score(page) == 0, layout_shift_details(page)


def test_entering_as_ada_on_an_empty_system_shows_her_post_and_notifications(
    without_demo: None, open_page: OpenPage
) -> None:
    page = open_page(None)
    enter_as_ada(page)

    expect(page.get_by_role("article")).to_contain_text("First morning swim of the year")
    expect(page.locator("[data-likes]")).to_have_text("7")
    expect(page.locator("#badge")).to_be_visible()
    page.goto("/dashboard")
    expect(page.locator("#flush")).to_be_attached()
