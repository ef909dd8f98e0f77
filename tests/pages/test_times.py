"""Times on pages, by a reader's clock that is right, behind or ahead."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Meet, Visit

HOURS = timedelta(hours=2)
WORDS = """([seconds]) => import("/static/times.js").then(({ ago }) => {
  const now = Date.parse("2026-06-01T12:00:00Z");
  return ago(new Date(now + seconds * 1000), now);
})"""


@pytest.mark.parametrize(
    ("seconds", "words"),
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
def test_what_has_happened_is_never_in_the_future(page: Page, seconds: int, words: str) -> None:
    assert page.evaluate(WORDS, [seconds]) == words


@pytest.mark.parametrize(
    ("late", "words"), [(HOURS, "now"), (-HOURS, "2 hours ago")], ids=["behind", "ahead"]
)
def test_a_page_shows_new_things_by_the_clock_of_its_reader(
    visit: Visit, person: Meet, late: timedelta, words: str
) -> None:
    ada, ben = person("Ada"), person("Ben")
    post = ada.posts("Hello")
    ada.call("POST", "/api/comments", {"postId": post, "content": "Mine"})
    ben.call("PUT", f"/api/follows/{ada.id}")
    page = visit(ada)
    page.clock.set_fixed_time(datetime.now(UTC) - late)

    page.goto(f"/posts/{post}")
    expect(page.locator("article time").first).to_have_text(words)

    page.goto("/notifications")
    expect(page.locator("main time").first).to_have_text(words)
    assert not [one for one in page.locator("time").all_inner_texts() if one.startswith("in ")]
