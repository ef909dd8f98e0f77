"""The dashboard against the running system: figures, service control, demo events, queues."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import (
    DISPLAY_PROFILES,
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    save_screenshot,
)
from tests.support.admin import admin as admin
from tests.support.admin import live_database as live_database
from tests.support.admin import long_windows as long_windows
from tests.support.console_errors import PageErrorMonitor
from tests.support.server import WebServer
from tests.support.user import BrowserUser

SERVICE_TIMEOUT_MS = 90_000
"""Kafka stops and starts within seconds on an idle machine; test machines are busy."""


@pytest.fixture
def dashboard_page(open_page: OpenPage, admin: BrowserUser, page_errors: PageErrorMonitor) -> Page:
    page_errors.expect_errors("503 (SERVICE UNAVAILABLE)")  # a section that timed out on a busy machine
    page = open_page(admin)
    page.goto("/dashboard")
    expect(page.locator("#stages tr")).to_have_count(10)
    return page


def test_stopping_kafka_from_the_page_fills_the_queue_and_starting_drains_it(
    dashboard_page: Page, register_user: RegisterUser, web_server: WebServer
) -> None:
    ada, *likers = (register_user(name) for name in ("Ada", "Ben", "Cem", "Dan"))
    post_id = ada.create_post("Hello")
    kafka = dashboard_page.locator("[data-service=kafka]")
    try:
        dashboard_page.click("[data-service=kafka] [data-command=stop]")
        expect(kafka.locator("[data-part=state]")).to_have_text("down", timeout=SERVICE_TIMEOUT_MS)
        for liker in likers:
            liker.like(post_id)
        expect(dashboard_page.locator("#fallback-count")).to_have_text("3", timeout=SERVICE_TIMEOUT_MS)
        expect(dashboard_page.locator(".node[data-stage=fallback]")).to_have_attribute("data-state", "late")
    finally:
        expect(kafka.locator("[data-command=start]")).to_be_visible(timeout=SERVICE_TIMEOUT_MS)
        kafka.locator("[data-command=start]").click()
    expect(kafka.locator("[data-part=state]")).to_have_text("up", timeout=SERVICE_TIMEOUT_MS)
    expect(dashboard_page.locator("#fallback-count")).to_have_text("0", timeout=SERVICE_TIMEOUT_MS)
    fallback_row = dashboard_page.locator("#stages tr", has_text="fallback")
    expect(fallback_row.locator("[data-cell=balance]")).to_have_text("✓ balanced")


def test_paused_dynamodb_is_shown_and_can_be_resumed(dashboard_page: Page) -> None:
    controls = dashboard_page.locator("[data-service=dynamodb] [data-part=controls]")
    try:
        controls.locator("[data-command=pause]").click()
        expect(controls).to_contain_text("frozen", timeout=SERVICE_TIMEOUT_MS)
    finally:
        controls.locator("[data-command=resume]").click()
    expect(controls.locator("[data-command=pause]")).to_be_visible(timeout=SERVICE_TIMEOUT_MS)


@pytest.mark.parametrize("kind", ["like", "follow", "otp"])
def test_demo_event_highlights_the_stages_it_passes(dashboard_page: Page, kind: str) -> None:
    dashboard_page.click(f"[data-demo={kind}]")

    expect(dashboard_page.locator(".node[data-stage=aggregator].highlighted")).to_be_attached()
    expect(dashboard_page.locator("#demo-state")).to_have_text("Announced.")
    expect(dashboard_page.locator("#demo-steps")).to_contain_text("emitted to your sockets")


def test_open_window_counts_down_and_can_be_flushed(dashboard_page: Page, long_windows: None) -> None:
    dashboard_page.click("[data-demo=comment]")
    expect(dashboard_page.locator("#demo-state")).to_contain_text(
        "Held in its window until", timeout=SERVICE_TIMEOUT_MS
    )
    window_row = dashboard_page.locator("#windows tr").first
    expect(window_row).to_contain_text("COMMENT")
    expect(window_row).to_contain_text("(in ")

    dashboard_page.click("#flush")
    dashboard_page.get_by_role("button", name="Flush now").last.click()

    expect(dashboard_page.locator("#demo-state")).to_have_text("Announced.")
    expect(dashboard_page.locator("#windows tr")).to_have_count(0)


def test_discarding_dead_letters_needs_a_confirmation_with_their_count(
    dashboard_page: Page, live_database: Engine
) -> None:
    insert_dead_letter = text(
        "insert into dead_letters (id, origin, position, reason) "
        "values (gen_random_uuid(), 'low-priority-notifications', :position, 'not JSON')"
    )
    with live_database.begin() as conn:
        for position in ("0:1", "0:2"):
            conn.execute(insert_dead_letter, {"position": position})
    expect(dashboard_page.locator("#dead-letters-count")).to_have_text("2")
    expect(dashboard_page.locator("#dead-letters-discard")).to_be_disabled()

    dashboard_page.check("#dead-letters-all")
    dashboard_page.click("#dead-letters-discard")
    expect(dashboard_page.locator("#confirm-title")).to_contain_text("2 dead letters")
    dashboard_page.get_by_role("button", name="Discard for good (2)").click()

    expect(dashboard_page.locator("#dead-letters-result")).to_have_text("2 of 2 discarded")
    expect(dashboard_page.locator("#dead-letters-count")).to_have_text("0")
    with live_database.connect() as conn:
        action = conn.execute(text("select action from audit_log order by created_at desc limit 1")).scalar()
        assert action == "dead_letters.discard"


def test_pause_stops_refreshing_and_is_shown(dashboard_page: Page) -> None:
    dashboard_page.click("#pause")
    expect(dashboard_page.locator("#last-updated")).to_contain_text("paused")
    dashboard_page.click("#pause")
    expect(dashboard_page.locator("#last-updated")).not_to_contain_text("paused")


def test_dashboard_shows_a_user_without_the_admin_role_how_to_get_it(
    register_user: RegisterUser, open_page: OpenPage
) -> None:
    """Nothing is requested that would be refused: `page_errors` would record the console error."""
    ada = register_user("Ada")
    page = open_page(ada)
    page.goto("/dashboard")

    expect(page.locator(".note").first).to_contain_text(f"create-admin {ada.email}")
    expect(page.locator("[data-service=redis] [data-part=state]")).to_have_text("up")
    expect(page.locator("#flush")).to_have_count(0)
    page.click("[data-demo=otp]")
    expect(page.locator("#demo-state")).to_have_text("Announced.")


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_dashboard_is_accessible(
    open_page: OpenPage, admin: BrowserUser, display_profile: DisplayProfile
) -> None:
    page = open_page(admin, display_profile=display_profile)
    page.goto("/dashboard")
    expect(page.locator("#stages tr")).to_have_count(10)
    page.click("[data-demo=follow]")
    expect(page.locator("#demo-state")).to_have_text("Announced.")
    page.click("#demo-trace")
    expect(page.locator("#trace th").first).to_be_visible()
    for summary in page.locator("summary", has_text="As a table").all():
        summary.click()

    save_screenshot(page, f"dashboard-{display_profile.name}", is_full_page=True)
    assert_accessible(page)
    assert_no_horizontal_scroll(page)


def test_dashboard_fits_320_pixels(open_page: OpenPage, admin: BrowserUser) -> None:
    page = open_page(admin, display_profile=DisplayProfile(320, 640, "light"))
    page.goto("/dashboard")
    expect(page.locator("#stages tr")).to_have_count(10)

    assert_no_horizontal_scroll(page)
