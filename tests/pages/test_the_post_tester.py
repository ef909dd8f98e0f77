"""The dials under a post: what they say will happen, and what then happens to these very events."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Meet, Visit
from tests.pages.looks import LOOKS, Look, check_axe, check_width, picture
from tests.pages.operator import admin as admin
from tests.pages.operator import long_windows as long_windows
from tests.pages.person import Person

TESTER = "[data-dials]"
START_MS = 90_000
"""A fresh aggregator joins its groups within seconds, on a machine with nothing else to do."""


def _opened(page: Page, post: str) -> None:
    page.goto(f"/posts/{post}")
    page.click(f"{TESTER} summary")


def _stand(page: Page, stand: str, many: int) -> None:
    rows = page.locator(f"[data-list] [data-stand={stand}]")
    expect(rows).to_have_count(many, timeout=START_MS)


def test_of_eight_likes_three_are_told_at_once_and_five_when_the_window_closes(
    person: Meet, visit: Visit, admin: Person, long_windows: None
) -> None:
    ada = person("Ada")
    page = visit(ada)
    _opened(page, ada.posts("Hello"))
    page.select_option("[data-dial=kind]", "non-followers")
    page.fill("[data-dial=likes]", "8")
    page.click("[data-simulate=likes]")

    _stand(page, "announced", 3)
    _stand(page, "held", 5)
    expect(page.locator("[data-sum]")).to_contain_text("3 told at once, 5 held until")
    expect(page.locator("[data-likes]")).to_have_text("8")
    admin.call("POST", "/api/admin/windows/flush")

    _stand(page, "announced", 8)
    expect(page.locator("[data-sum]")).to_have_text(
        "3 told at once, 5 written and announced after their window"
    )
    assert {one["aggregatedCount"] for one in ada.notifications()} == {8}


def test_comments_all_wait_and_the_broom_takes_everybody_away(
    person: Meet, visit: Visit, admin: Person, long_windows: None
) -> None:
    ada = person("Ada")
    page = visit(ada)
    _opened(page, ada.posts("Hello"))
    page.fill("[data-dial=comments]", "2")
    page.click("[data-simulate=comments]")
    _stand(page, "held", 2)

    page.click("[data-simulate=cleanup]")

    expect(page.locator("[data-simulated]")).to_contain_text("Cleaned up")


@pytest.mark.parametrize(
    ("likes", "hint", "kind"),
    [
        ("3", "3 likes: told at once, each by name", "hint"),
        (
            "4",
            "4 likes: the first 3 at once, 1 in one line when the window closes (1.5 s ± 0.5 s)",
            "hint held",
        ),
    ],
)
def test_the_hint_follows_from_the_configured_rules(
    person: Meet, visit: Visit, likes: str, hint: str, kind: str
) -> None:
    ada = person("Ada")
    page = visit(ada)
    _opened(page, ada.posts("Hello"))

    page.fill("[data-dial=likes]", likes)

    shown = page.locator("[data-hint=likes]")
    expect(shown).to_have_text(hint)
    expect(shown).to_have_class(kind)


@pytest.mark.parametrize("look", LOOKS)
def test_it_can_be_read_by_everybody(person: Meet, visit: Visit, look: Look) -> None:
    ada = person("Ada")
    page = visit(ada, look=look)
    _opened(page, ada.posts("Hello"))
    page.fill("[data-dial=likes]", "2")
    page.click("[data-simulate=likes]")
    _stand(page, "announced", 2)

    picture(page, f"post-tester-{look.name}", whole=True)
    check_axe(page, TESTER)
    check_width(page)
