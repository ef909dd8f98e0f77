"""The system dashboard: real figures, real switches, real events."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from tests.pages.conftest import Meet, Visit
from tests.pages.looks import LOOKS, Look, check_axe, check_width, picture
from tests.pages.operator import admin as admin
from tests.pages.operator import long_windows as long_windows
from tests.pages.operator import tables as tables
from tests.pages.person import Person
from tests.pages.site import Site
from tests.pages.watch import Watch

SLOW_MS = 90_000
"""Kafka stops and starts in seconds, on a machine that has nothing else to do."""


@pytest.fixture
def dashboard(visit: Visit, admin: Person, watch: Watch) -> Page:
    watch.forgive("503 (SERVICE UNAVAILABLE)")  # what is slow on a busy machine, the page says
    page = visit(admin)
    page.goto("/dashboard")
    expect(page.locator("#stages tr")).to_have_count(8)
    return page


def test_kafka_stopped_from_the_page_lets_the_queue_grow_and_started_again_drain(
    dashboard: Page, person: Meet, site: Site
) -> None:
    ada, *fans = (person(name) for name in ("Ada", "Ben", "Cem", "Dan"))
    post = ada.posts("Hello")
    kafka = dashboard.locator("[data-service=kafka]")
    try:
        dashboard.click("[data-service=kafka] [data-verb=stop]")
        expect(kafka.locator("[data-part=state]")).to_have_text("down", timeout=SLOW_MS)
        for fan in fans:
            fan.likes(post)
        expect(dashboard.locator("#fallback-count")).to_have_text("3", timeout=SLOW_MS)
        expect(dashboard.locator(".node[data-stage=fallback]")).to_have_attribute(
            "data-state", "late"
        )
    finally:
        expect(kafka.locator("[data-verb=start]")).to_be_visible(timeout=SLOW_MS)
        kafka.locator("[data-verb=start]").click()
    expect(kafka.locator("[data-part=state]")).to_have_text("up", timeout=SLOW_MS)
    expect(dashboard.locator("#fallback-count")).to_have_text("0", timeout=SLOW_MS)
    line = dashboard.locator("#stages tr", has_text="fallback")
    expect(line.locator("[data-cell=balance]")).to_have_text("✓ balanced")


def test_a_frozen_dynamodb_says_so_and_wakes(dashboard: Page) -> None:
    switches = dashboard.locator("[data-service=dynamodb] [data-part=switches]")
    try:
        switches.locator("[data-verb=pause]").click()
        expect(switches).to_contain_text("frozen", timeout=SLOW_MS)
    finally:
        switches.locator("[data-verb=resume]").click()
    expect(switches.locator("[data-verb=pause]")).to_be_visible(timeout=SLOW_MS)


@pytest.mark.parametrize("kind", ["like", "follow", "otp"])
def test_a_demo_event_lights_up_the_stages_it_really_passes(dashboard: Page, kind: str) -> None:
    dashboard.click(f"[data-demo={kind}]")

    expect(dashboard.locator(".node[data-stage=aggregator].lit")).to_be_attached()
    expect(dashboard.locator("#demo-state")).to_have_text("Announced.")
    expect(dashboard.locator("#demo-steps")).to_contain_text("emitted to your sockets")


def test_an_open_window_counts_down_and_can_be_flushed(dashboard: Page, long_windows: None) -> None:
    dashboard.click("[data-demo=comment]")
    expect(dashboard.locator("#demo-state")).to_contain_text(
        "Held in its window until", timeout=SLOW_MS
    )
    line = dashboard.locator("#windows tr").first
    expect(line).to_contain_text("COMMENT")
    expect(line).to_contain_text("(in ")

    dashboard.click("#flush")
    dashboard.get_by_role("button", name="Flush now").last.click()

    expect(dashboard.locator("#demo-state")).to_have_text("Announced.")
    expect(dashboard.locator("#windows tr")).to_have_count(0)


def test_an_events_way_is_shown_as_a_waterfall(dashboard: Page) -> None:
    dashboard.click("[data-demo=follow]")
    expect(dashboard.locator("#demo-state")).to_have_text("Announced.")

    dashboard.click("#demo-trace")

    steps = dashboard.locator("#trace th")
    expect(steps.first).to_have_text("accepted")
    expect(steps.filter(has_text="emitted")).to_have_count(1)


def test_dead_letters_are_discarded_after_a_question_with_their_number(
    dashboard: Page, tables: Engine
) -> None:
    letter = text(
        "insert into dead_letters (id, origin, position, reason) "
        "values (gen_random_uuid(), 'low-priority-notifications', :at, 'not JSON')"
    )
    with tables.begin() as sql:
        for at in ("0:1", "0:2"):
            sql.execute(letter, {"at": at})
    expect(dashboard.locator("#dead-letters-count")).to_have_text("2")
    expect(dashboard.locator("#dead-letters-discard")).to_be_disabled()

    dashboard.check("#dead-letters-all")
    dashboard.click("#dead-letters-discard")
    expect(dashboard.locator("#confirm-title")).to_contain_text("2 dead letters")
    dashboard.get_by_role("button", name="Discard for good (2)").click()

    expect(dashboard.locator("#dead-letters-said")).to_have_text("2 of 2 discarded")
    expect(dashboard.locator("#dead-letters-count")).to_have_text("0")
    with tables.connect() as sql:
        done = sql.execute(text("select action from audit order by created_at desc limit 1"))
        assert done.scalar() == "dead_letters.discard"


def test_a_pause_holds_and_is_said(dashboard: Page) -> None:
    dashboard.click("#pause")
    expect(dashboard.locator("#stamp")).to_contain_text("paused")
    dashboard.click("#pause")
    expect(dashboard.locator("#stamp")).not_to_contain_text("paused")


def test_who_is_no_administrator_is_told_how_to_become_one(person: Meet, visit: Visit) -> None:
    """Nothing is asked for that would be refused: the watch would see it in the console."""
    ada = person("Ada")
    page = visit(ada)
    page.goto("/dashboard")

    expect(page.locator(".note").first).to_contain_text(f"create-admin {ada.email}")
    expect(page.locator("[data-service=redis] [data-part=state]")).to_have_text("up")
    expect(page.locator("#flush")).to_have_count(0)
    page.click("[data-demo=otp]")
    expect(page.locator("#demo-state")).to_have_text("Announced.")


@pytest.mark.parametrize("look", LOOKS)
def test_it_can_be_read_by_everybody(visit: Visit, admin: Person, look: Look) -> None:
    page = visit(admin, look=look)
    page.goto("/dashboard")
    expect(page.locator("#stages tr")).to_have_count(8)
    page.click("[data-demo=follow]")
    expect(page.locator("#demo-state")).to_have_text("Announced.")
    page.click("#demo-trace")
    expect(page.locator("#trace th").first).to_be_visible()
    for summary in page.locator("summary", has_text="As a table").all():
        summary.click()

    picture(page, f"dashboard-{look.name}", whole=True)
    check_axe(page)
    check_width(page)


def test_it_fits_a_screen_of_320_pixels(visit: Visit, admin: Person) -> None:
    page = visit(admin, look=Look(320, 640, "light"))
    page.goto("/dashboard")
    expect(page.locator("#stages tr")).to_have_count(8)

    check_width(page)
