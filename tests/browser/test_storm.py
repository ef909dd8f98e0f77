"""The storm page against the running system: a storm with a fault in the middle, kept results, access."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import Engine

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE, compare, remarks
from app.devtools.storm.options import StormOptions
from app.devtools.storm.storms import DONE, StormFolder, Storms
from app.domain.errors import Rejected
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.accessibility import (
    DISPLAY_PROFILES,
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    layout_shift_score,
    record_layout_shifts,
    save_screenshot,
)
from tests.support.admin import admin as admin
from tests.support.console_errors import PageErrorMonitor
from tests.support.server import WebServer
from tests.support.user import BrowserUser

LIKE_COUNT = 2_000
LOAD_TIMEOUT_MS = 120_000
SERVICE_TIMEOUT_MS = 90_000
STORM_TIMEOUT_MS = 240_000


@pytest.fixture
def storm_page(open_page: OpenPage, admin: BrowserUser, page_errors: PageErrorMonitor) -> Page:
    # A service that was stopped, or a response of the test.
    page_errors.expect_errors("503 (SERVICE UNAVAILABLE)", "503 (Service Unavailable)")
    page = open_page(admin)
    page.goto("/storm")
    expect(page.locator("[data-service=kafka] [data-command=kill]")).to_be_visible(timeout=SERVICE_TIMEOUT_MS)
    return page


def _ledger_cell(page: Page, way: str, name: str) -> Any:
    return page.locator(f"#ledger [data-way={way}] [data-cell={name}]")


def _ledger_count(page: Page, name: str) -> int:
    """Of the pipeline."""
    return int(_ledger_cell(page, PIPELINE, name).inner_text().replace(",", ""))


def _wait_until_accepted(page: Page, way: str, count: int) -> None:
    page.wait_for_function(
        """([way, count]) => {
          const cell = document.querySelector(`#ledger [data-way=${way}] [data-cell=accepted]`);
          return Number(cell.textContent.replace(/[^0-9]/g, "")) >= count;
        }""",
        arg=[way, count],
        timeout=LOAD_TIMEOUT_MS,
    )


def _run_until_the_middle(page: Page) -> None:
    page.fill("#storm-likes", str(LIKE_COUNT))
    page.fill("#storm-rate", "100")
    page.check("[name=comments]")
    page.click("#storm-start")
    _wait_until_accepted(page, PIPELINE, LIKE_COUNT // 4)


def _expect_that_nothing_was_lost_or_doubled(storm_page: Page) -> None:
    """When the storm has ended."""
    expect(storm_page.locator("#storm-phase")).to_have_text("Done.", timeout=STORM_TIMEOUT_MS)
    for way in (ROW_PER_LIKE, PIPELINE):
        expect(_ledger_cell(storm_page, way, "lost")).to_have_text("0")
        expect(_ledger_cell(storm_page, way, "doubled")).to_have_text("0")
    # During a fault some are refused; those may have been written all the same.
    counts = {name: _ledger_count(storm_page, name) for name in ("accepted", "written", "announced")}
    assert LIKE_COUNT // 4 <= counts["accepted"] <= counts["written"] == counts["announced"], counts
    expect(storm_page.locator("#ledger-problems li")).to_have_count(0)
    expect(storm_page.locator("#messages")).to_contain_text("others liked your post")


@pytest.mark.drill
@pytest.mark.parametrize("name", ["kafka", "redis", "postgres"])
def test_storm_with_a_service_killed_in_the_middle_loses_and_doubles_nothing(
    storm_page: Page, web_server: WebServer, shared_engine: Engine, name: str
) -> None:
    service = storm_page.locator(f"[data-service={name}]")
    _run_until_the_middle(storm_page)
    try:
        service.locator("[data-command=kill]").click()
        expect(service.locator("[data-part=state]")).to_have_text("down", timeout=SERVICE_TIMEOUT_MS)
    finally:
        expect(service.locator("[data-command=start]")).to_be_visible(timeout=SERVICE_TIMEOUT_MS)
        service.locator("[data-command=start]").click()
        expect(service.locator("[data-part=state]")).to_have_text("up", timeout=SERVICE_TIMEOUT_MS)
        shared_engine.dispose()  # connections of before
        web_server.restart_missing()

    _expect_that_nothing_was_lost_or_doubled(storm_page)
    if name == "kafka":
        figure = storm_page.locator("#comparison [data-figure=walBytesPerLike] td").first
        expect(figure).not_to_have_text("\u2013")
        save_screenshot(storm_page, "storm-done", is_full_page=True)


@pytest.mark.drill
def test_storm_with_the_aggregator_killed_in_the_middle_loses_and_doubles_nothing(
    storm_page: Page, web_server: WebServer
) -> None:
    aggregator = storm_page.locator("[data-worker=aggregator]")
    _run_until_the_middle(storm_page)
    aggregator.locator("[data-command=kill]").click()
    expect(aggregator.locator("[data-part=state]")).to_have_text("stopped", timeout=SERVICE_TIMEOUT_MS)
    web_server.restart_missing()

    _expect_that_nothing_was_lost_or_doubled(storm_page)


def test_running_storm_can_be_cancelled(storm_page: Page) -> None:
    storm_page.fill("#storm-likes", str(LIKE_COUNT))
    storm_page.fill("#storm-rate", "50")
    storm_page.click("#storm-start")
    _wait_until_accepted(storm_page, ROW_PER_LIKE, 1)
    expect(storm_page.locator("#storm-start")).to_be_disabled()

    storm_page.click("#storm-cancel")

    expect(storm_page.locator("#storm-phase")).to_have_text("Cancelled.", timeout=STORM_TIMEOUT_MS)
    expect(storm_page.locator("#storm-start")).to_be_enabled()


def test_impossible_storm_is_refused_with_the_reason(storm_page: Page, page_errors: PageErrorMonitor) -> None:
    page_errors.expect_errors("400 (BAD REQUEST)")
    storm_page.fill("#storm-people", "10")
    storm_page.click("#storm-start")

    expect(storm_page.locator("#storm-phase")).to_contain_text("Not started: Nobody likes a post twice")
    expect(storm_page.locator("#storm-start")).to_be_enabled()


def _refuse_deletions(page: Page) -> None:
    body = json.dumps({"success": False, "error": "Temporarily unavailable"})
    page.route(
        "**/api/test/storms/*",
        lambda route: (
            route.fulfill(status=503, content_type="application/json", body=body)
            if route.request.method == "DELETE"
            else route.continue_()
        ),
    )


def test_storm_that_cannot_be_deleted_now_says_so(
    storm_page: Page, finished_storms: list[StormFolder]
) -> None:
    older, _ = finished_storms
    _refuse_deletions(storm_page)
    storm_page.click(f"#kept [data-delete='{older.storm_id}']")
    storm_page.get_by_role("button", name="Delete", exact=True).last.click()

    expect(storm_page.locator("#storm-phase")).to_contain_text("Not deleted: Temporarily unavailable")
    expect(storm_page.locator(f"#kept [data-show='{older.storm_id}']")).to_have_count(1)


def test_page_polls_with_one_request_and_goes_on_after_errors(
    storm_page: Page, finished_storms: list[StormFolder]
) -> None:
    _, newer = finished_storms
    expect(storm_page.locator(f"#kept [data-show='{newer.storm_id}']")).to_be_visible()
    expect(storm_page.locator("#comparison tr").first).to_be_visible()
    paths: list[str] = []

    def fail_twice(route: Route) -> None:
        paths.append(route.request.url.split("/api/test/")[1])
        if len(paths) > 2:
            route.continue_()
        else:
            route.fulfill(status=503, content_type="application/json", body='{"error": "Unavailable"}')

    storm_page.route("**/api/test/storms*", fail_twice)
    storm_page.route("**/api/test/storms/*", fail_twice)
    expect(storm_page.locator("#last-updated")).to_contain_text("Unavailable")
    expect(storm_page.locator("#last-updated")).not_to_contain_text("Unavailable")

    assert len(paths) >= 3
    assert set(paths) == {f"storms?shown={newer.storm_id}&after=14"}


def test_without_the_chart_library_there_is_no_picture_to_save(
    open_page: OpenPage, admin: BrowserUser, finished_storms: list[StormFolder], page_errors: PageErrorMonitor
) -> None:
    page_errors.expect_errors("net::ERR_FAILED")
    page = open_page(admin)
    page.route("**/static/vendor/chart.umd.js", lambda route: route.abort())
    page.goto("/storm")

    expect(page.locator("#export-json")).to_be_enabled()
    expect(page.locator("#export-png")).to_be_disabled()


def test_worker_can_be_frozen_and_resumed(storm_page: Page) -> None:
    worker = storm_page.locator("[data-worker=aggregator]")
    try:
        worker.locator("[data-command=pause]").click()
        expect(worker.locator("[data-part=state]")).to_have_text("frozen")
    finally:
        worker.locator("[data-command=resume]").click()
    expect(worker.locator("[data-part=state]")).to_have_text("running")


def _finished_way(accepted_per_second: float, p99_ms: float, announces: bool) -> dict[str, Any]:
    ledger = {
        "accepted": 2000,
        "written": 2000,
        "announced": 2000 if announces else None,
        "lost": 0,
        "doubled": 0,
    }
    figures = {
        "offeredPerSecond": 300.0,
        "answeredPerSecond": accepted_per_second,
        "acceptedPerSecond": accepted_per_second,
        "offered": 2000,
        "accepted": 2000,
        "refused": 0,
        "unknown": 0,
        "notSent": 0,
        "answerP99Ms": p99_ms,
        "readerP99Ms": 20.0,
    }
    messages = ["Ada 1 liked your post", "Ada 1 and 1,999 others liked your post"] if announces else []
    return {
        "figures": figures | {"walBytes": 1_800_000, "walBytesPerLike": 900, "transactions": 4000},
        "ledger": ledger | {"problems": []},
        "messageCount": len(messages),
        "messages": messages,
    }


def _sample(way: str, second: int) -> dict[str, Any]:
    counts = dict.fromkeys(("offered", "answered", "accepted", "written"), second * 280)
    latencies = {"answerP99Ms": 30.0 - second, "readerP99Ms": 12.0}
    others = {"announced": None, "doubled": None, "queued": 0, "lockWaiters": 1}
    return {"way": way, "second": second} | counts | latencies | others


@pytest.fixture
def finished_storms(environment: dict[str, str]) -> Iterator[list[StormFolder]]:
    """Two storms that have ended, written as a runner writes them."""
    storms = Storms(Path(environment["DATA_DIR"]))
    (Path(environment["DATA_DIR"]) / "storms").mkdir(exist_ok=True)
    folders = []
    for p99_ms in (300.0, 90.0):
        folder = storms._create_folder(StormOptions())
        ways = {ROW_PER_LIKE: _finished_way(240.0, p99_ms, False), PIPELINE: _finished_way(299.0, 25.0, True)}
        figures = [ways[ROW_PER_LIKE]["figures"], ways[PIPELINE]["figures"]]
        comparison = compare(*figures)
        state = {"state": DONE, "phase": "", "ways": ways, "comparison": comparison}
        for way in ways:
            for second in range(1, 8):
                folder.append_sample(_sample(way, second))
        folder.write_state(folder.read_state() | state | {"remarks": remarks(comparison, *figures)})
        folders.append(folder)
    yield folders
    for folder in folders:
        with suppress(Rejected):  # the test has deleted it
            storms.cancel_or_delete(folder.storm_id)


def test_kept_storm_is_shown_compared_and_exported(
    storm_page: Page, finished_storms: list[StormFolder], tmp_path: Path
) -> None:
    older, newer = finished_storms
    expect(storm_page.locator(f"#kept [data-show='{newer.storm_id}']")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(storm_page.locator("#remarks")).to_contain_text("One row per like accepted 240 of 300")

    storm_page.select_option("#compare-with", older.storm_id)
    cells = storm_page.locator("#comparison [data-figure=answerP99Ms] td")
    expect(cells).to_have_text(["90", "25", "300", "25", "Pipeline"])

    with storm_page.expect_download() as download:
        storm_page.click("#export-json")
    download.value.save_as(tmp_path / "storm.json")
    exported = json.loads((tmp_path / "storm.json").read_text())
    assert (exported["id"], len(exported["samples"])) == (newer.storm_id, 14)
    with storm_page.expect_download() as download:
        storm_page.click("#export-png")
    download.value.save_as(tmp_path / "storm.png")
    assert (tmp_path / "storm.png").read_bytes().startswith(b"\x89PNG")

    storm_page.click(f"#kept [data-delete='{older.storm_id}']")
    storm_page.get_by_role("button", name="Delete", exact=True).last.click()
    expect(storm_page.locator(f"#kept [data-show='{older.storm_id}']")).to_have_count(0)


def test_storm_is_for_administrators(
    open_page: OpenPage, register_user: RegisterUser, page_errors: PageErrorMonitor
) -> None:
    page_errors.expect_errors("403 (FORBIDDEN)")
    response = open_page(register_user("Ada")).goto("/storm")

    assert response is not None
    assert response.status == 403


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_storm_page_is_accessible_and_does_not_shift(
    open_page: OpenPage,
    admin: BrowserUser,
    finished_storms: list[StormFolder],
    display_profile: DisplayProfile,
) -> None:
    page = open_page(admin, display_profile=display_profile)
    page.goto("/storm")
    expect(page.locator("#comparison tr").first).to_be_visible()
    expect(page.locator("[data-worker=bridge] [data-command=kill]")).to_be_visible(timeout=SERVICE_TIMEOUT_MS)
    record_layout_shifts(page)
    page.locator("summary", has_text="As a table").click()
    expect(page.locator("#samples tr").first).to_be_visible()

    save_screenshot(page, f"storm-{display_profile.name}", is_full_page=True)
    assert_accessible(page)
    assert_no_horizontal_scroll(page)
    assert layout_shift_score(page) < 0.05
