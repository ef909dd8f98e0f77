"""Relative times on pages when the clock of the browser is right, behind or ahead."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, RegisterUser

CLOCK_OFFSET = timedelta(hours=2)
FORMAT_RELATIVE_SCRIPT = """([seconds]) => import("/static/relativeTimes.js").then(({ formatRelative }) => {
  const now = Date.parse("2026-06-01T12:00:00Z");
  return formatRelative(new Date(now + seconds * 1000), now);
})"""


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-90_000, "yesterday"),
        (-7_300, "2 hours ago"),
        (-61, "1 minute ago"),
        (-59, "now"),
        (0, "now"),
        (1, "now"),
        (61, "now"),
        (7_300, "now"),
        (90_000, "now"),
    ],
)
def test_past_event_is_never_shown_in_the_future(page: Page, seconds: int, expected: str) -> None:
    assert page.evaluate(FORMAT_RELATIVE_SCRIPT, [seconds]) == expected


@pytest.mark.parametrize(
    ("delay", "expected", "expected_short"),
    [(CLOCK_OFFSET, "now", "now"), (-CLOCK_OFFSET, "2 hours ago", "2h")],
    ids=["behind", "ahead"],
)
def test_new_items_are_shown_by_the_clock_of_the_browser(
    open_page: OpenPage, register_user: RegisterUser, delay: timedelta, expected: str, expected_short: str
) -> None:
    ada, ben = register_user("Ada"), register_user("Ben")
    post_id = ada.create_post("Hello")
    ada.request_ok("POST", "/api/comments", {"postId": post_id, "content": "Mine"})
    ben.request_ok("PUT", f"/api/follows/{ada.id}")
    page = open_page(ada)
    page.clock.set_fixed_time(datetime.now(UTC) - delay)

    page.goto(f"/posts/{post_id}")
    expect(page.locator("article time").first).to_have_text(expected)

    page.goto("/notifications")
    expect(page.locator("main time").first).to_have_text(expected_short)
    assert not [time for time in page.locator("time").all_inner_texts() if time.startswith("in ")]
