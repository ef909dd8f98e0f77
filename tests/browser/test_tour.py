"""The guided tour, through the real pages that it leads to."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage
from tests.browser.test_dashboard import SERVICE_TIMEOUT_MS
from tests.browser.test_storm import STORM_TIMEOUT_MS
from tests.support.accessibility import (
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    assert_target_sizes,
    save_screenshot,
)
from tests.support.bell_panel import notification_rows, record_toasts, recorded_toast_texts
from tests.support.console_errors import PageErrorMonitor
from tests.support.demo import enter_as_ada

PANEL, MENU = "#tour", ".top-bar details[data-menu]"
STEP_TITLES = (
    "Like as others",
    "Three toasts, then one line",
    "Rows that wait, rows that are written",
    "Follow one event",
    "Stop Kafka",
    "Run a storm",
)
DISPLAY_PROFILES = [
    pytest.param(profile, id=profile.name)
    for profile in (
        DisplayProfile(320, 640, "light"),
        DisplayProfile(375, 720, "dark"),
        DisplayProfile(768, 800, "light"),
        DisplayProfile(1280, 800, "light"),
        DisplayProfile(1920, 1080, "dark"),
    )
]
_PROGRESS_SCRIPT = """async () => {
  const progress = await import("/static/tour/progress.js");
  const { parseProgress, moveBy, leave, resume, decline, offer, finish } = progress;
  CASE_BODY
}"""


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The first page of the tour."""
    demo_page = open_page(None)
    enter_as_ada(demo_page)
    return demo_page


def _expect_step(page: Page, number: int) -> Locator:
    panel = page.locator(PANEL)
    expect(panel).to_contain_text(f"step {number} of 6")
    expect(panel).not_to_contain_text("null")
    expect(panel.get_by_role("heading", level=2)).to_have_text(STEP_TITLES[number - 1])
    return panel


def _press(page: Page, name: str) -> None:
    page.locator(PANEL).get_by_role("button", name=name, exact=True).click()


def _send_likes(page: Page) -> None:
    _press(page, "Send 8 likes")
    expect(page.locator(f"{PANEL} [role=status]")).to_have_text("8 likes sent")


def _close_windows(page: Page) -> None:
    """The likes reach their window a moment after they were sent."""

    def is_closed() -> bool:
        _press(page, "Close windows")
        result = page.locator(f"{PANEL} [role=status]")
        expect(result).to_contain_text(re.compile("window", re.IGNORECASE))
        return "closed" in result.inner_text()

    wait_until(is_closed, "closed windows", 30)


def _like_with_the_simulator(page: Page) -> None:
    simulator, count = page.locator("[data-simulator][data-tour-target]"), page.locator("[data-likes]").first
    likes_before = int(count.inner_text())
    simulator.locator("summary").click()
    simulator.locator("[data-setting=likes]").fill("8")
    simulator.locator("[data-setting=kind]").select_option("non-followers")
    simulator.get_by_role("button", name="Send likes").click()
    expect(count).to_have_text(str(likes_before + 8))


def _stop_kafka_send_likes_and_start_it(page: Page) -> None:
    kafka, waiting = page.locator("[data-service=kafka]"), page.locator("#fallback-count")
    try:
        kafka.locator("[data-command=stop]").click()
        expect(kafka.locator("[data-part=state]")).to_have_text("down", timeout=SERVICE_TIMEOUT_MS)
        _send_likes(page)
        page.get_by_role("tab", name="Queues").click()
        expect(waiting).to_have_text(re.compile("^[1-9]"), timeout=SERVICE_TIMEOUT_MS)
    finally:
        expect(kafka.locator("[data-command=start]")).to_be_visible(timeout=SERVICE_TIMEOUT_MS)
        kafka.locator("[data-command=start]").click()
    expect(kafka.locator("[data-part=state]")).to_have_text("up", timeout=SERVICE_TIMEOUT_MS)
    expect(waiting).to_have_text("0", timeout=SERVICE_TIMEOUT_MS)


def _run_storm(page: Page) -> None:
    page.fill("#storm-likes", "1000")
    page.click("#storm-start")
    expect(page.locator("#storm-phase")).to_have_text("Done.", timeout=STORM_TIMEOUT_MS)
    for cell in page.locator("#ledger").locator("[data-cell=lost], [data-cell=doubled]").all():
        expect(cell).to_have_text("0")


@pytest.mark.drill
def test_tour_from_end_to_end(page: Page, page_errors: PageErrorMonitor) -> None:
    page_errors.expect_errors("503 (SERVICE UNAVAILABLE)")  # a section that timed out on a busy machine
    record_toasts(page)
    _expect_step(page, 1)
    _like_with_the_simulator(page)

    _press(page, "Next")
    _expect_step(page, 2)
    wait_until(lambda: len(recorded_toast_texts(page)) >= 3, "three toasts", 30)
    _send_likes(page)
    _close_windows(page)
    page.locator("#bell-button").click()
    line = notification_rows(page).filter(has_text=re.compile(r"and \d+ others liked your post")).first
    expect(line).to_be_visible()
    page.keyboard.press("Escape")

    _press(page, "Next")
    expect(page).to_have_url("/database")
    _expect_step(page, 3)
    page.locator("#tab-likes").click()
    _send_likes(page)
    expect(page.locator("#written tr").first).to_be_visible()

    _press(page, "Next")
    expect(page).to_have_url("/dashboard")
    _expect_step(page, 4)
    page.locator("[data-demo=like][data-tour-target]").click()
    expect(page.locator("#demo-state")).to_have_text(re.compile("Announced|Held"))
    page.get_by_role("button", name="Its trace").click()
    expect(page.locator("#trace th").first).to_have_text("accepted")

    _press(page, "Next")
    _expect_step(page, 5)
    _stop_kafka_send_likes_and_start_it(page)

    _press(page, "Next")
    expect(page).to_have_url("/storm")
    _expect_step(page, 6)
    _run_storm(page)
    _press(page, "Finish")
    expect(page.locator(PANEL)).to_have_count(0)


def test_tour_can_be_left_and_resumed_on_the_page_of_its_step(page: Page) -> None:
    for number in (1, 2):
        _press(page, "Next")
        _expect_step(page, number + 1)
    expect(page).to_have_url("/database")

    _press(page, "Leave")
    expect(page.locator(PANEL)).to_have_count(0)
    expect(page.locator("#announcer")).to_contain_text("choose Guided tour in your menu")
    expect(page.locator(f"{MENU} > summary")).to_be_focused()
    page.goto("/")
    expect(page.locator("html[data-live=yes]")).to_be_visible()
    expect(page.locator(PANEL)).to_have_count(0)

    page.locator(f"{MENU} > summary").press("Enter")
    page.get_by_role("link", name="Guided tour").press("Enter")
    expect(page).to_have_url("/database")
    _expect_step(page, 3)
    page.goto("/preferences")
    _expect_step(page, 3).get_by_role("link", name="Go to the page of this step").click()
    expect(page).to_have_url("/database")
    expect(page.locator(f"{PANEL} h2")).to_be_focused()


def test_left_tour_is_offered_at_the_next_entry_and_a_declined_one_is_not(page: Page) -> None:
    for button, panel_count in (("Leave", 1), ("Do not show again", 0)):
        _press(page, button)
        expect(page.locator(PANEL)).to_have_count(0)
        page.locator(f"{MENU} > summary").click()
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url("/login")
        enter_as_ada(page)
        expect(page.locator("html[data-live=yes]")).to_be_visible()
        expect(page.locator(PANEL)).to_have_count(panel_count)


def test_tour_works_by_keyboard_and_is_announced(page: Page) -> None:
    _expect_step(page, 1)
    expect(page.get_by_role("complementary", name="Like as others")).to_be_visible()

    page.locator(PANEL).get_by_role("button", name="Next").press("Enter")
    _expect_step(page, 2)
    expect(page.locator(f"{PANEL} h2")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send 8 likes")).to_be_focused()
    page.reload()
    expect(page.locator("#announcer")).to_have_text(re.compile("^Guided tour, step 2 of 6: Three toasts"))


@pytest.mark.drill
@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_tour_panel_is_accessible(open_page: OpenPage, display_profile: DisplayProfile) -> None:
    page = open_page(None, display_profile=display_profile)
    enter_as_ada(page)
    assert_accessible(page)
    assert_target_sizes(page)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.locator("[data-simulator] > summary").last.click(trial=True)  # the panel does not cover it

    for number in range(1, 6):
        _expect_step(page, number)
        save_screenshot(page, f"tour-{number}-{display_profile.name}")
        assert_accessible(page, PANEL)
        assert_no_horizontal_scroll(page)
        _press(page, "Next")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param("return parseProgress(null, 6)", {"step": 0, "status": "open"}, id="nothing stored"),
        pytest.param("return parseProgress('{', 6)", {"step": 0, "status": "open"}, id="not JSON"),
        pytest.param(
            """return parseProgress('{"step": 6, "status": "left"}', 6)""",
            {"step": 0, "status": "open"},
            id="a step that does not exist",
        ),
        pytest.param(
            """return parseProgress('{"step": 5, "status": "left"}', 6)""",
            {"step": 5, "status": "left"},
            id="stored progress",
        ),
        pytest.param(
            "return [moveBy({ step: 0 }, -1, 6), moveBy({ step: 5 }, 1, 6), moveBy({ step: 2 }, 1, 6)]",
            [{"step": 0}, {"step": 5}, {"step": 3}],
            id="moves stay within the steps",
        ),
        pytest.param(
            "const left = leave({ step: 3, status: 'open' }); return [left, offer(left), resume(left)]",
            [{"step": 3, "status": status} for status in ("left", "open", "open")],
            id="left, then offered or resumed at the same step",
        ),
        pytest.param(
            "const gone = decline({ step: 3, status: 'open' }); return [offer(gone), resume(gone)]",
            [{"step": 3, "status": "declined"}, {"step": 3, "status": "open"}],
            id="declined: not offered, but resumed on request",
        ),
        pytest.param(
            "return [finish(), offer(finish()), resume(finish())]",
            [{"step": 0, "status": status} for status in ("declined", "declined", "open")],
            id="finished: not offered, but started anew on request",
        ),
    ],
)
def test_progress_of_the_tour(open_page: OpenPage, case: str, expected: Any) -> None:
    login_page = open_page(None)
    login_page.goto("/login")
    assert login_page.evaluate(_PROGRESS_SCRIPT.replace("CASE_BODY", case)) == expected
