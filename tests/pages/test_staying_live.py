"""A page whose connection is lost comes back by itself, with what it missed, once each."""

from functools import partial

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from infra.services import Services
from tests.pages.bell import INBOX, inbox, likes, lines, live, opened
from tests.pages.conftest import Meet, Visit
from tests.pages.person import Person
from tests.pages.site import Site
from tests.pages.watch import Watch
from tests.services.crew import until

PATIENT = 90_000
EXPECTED = ("WebSocket", "Failed to load resource")


@pytest.fixture
def books(_engine: Engine) -> Engine:
    """PostgreSQL as the site left it."""
    return _engine


def elsewhere(ada: Person, url: str) -> Person:
    """The same person at another web process."""
    return Person(url, ada.name, ada.username, ada.email, ada.id, ada.token)


def test_after_the_web_process_died_seven_are_caught_up(
    visit: Visit, person: Meet, site: Site, watch: Watch
) -> None:
    watch.forgive(*EXPECTED)
    ada, ben = person("Ada"), person("Ben")
    likes([ben], ada, 1)
    page = visit(ada)
    page.goto("/")
    live(page)
    expect(page.locator("#badge")).to_have_text("1")
    other = site.crew.web()
    try:
        site.web.kill()
        expect(page.locator("#connection")).to_have_text("Reconnecting…")
        there = elsewhere(ada, other.address)
        likes([elsewhere(ben, other.address)], there, 7)
        until(lambda: there.unread() == 8, 90, "eight groups")
        site.open_web()
    finally:
        other.kill()

    expect(page.locator("#connection")).to_have_text("Caught up, 7 new", timeout=PATIENT)
    expect(page.locator("#badge")).to_have_text("8")
    opened(page, 8)
    assert (
        lines(page).evaluate_all("all => new Set(all.map((one) => one.dataset.notification)).size")
        == 8
    )


def test_an_open_inbox_has_each_of_them_once(
    visit: Visit, person: Meet, site: Site, watch: Watch
) -> None:
    watch.forgive(*EXPECTED)
    ada, ben = person("Ada"), person("Ben")
    likes([ben], ada, 2)
    page = visit(ada)
    until(lambda: ada.unread() == 2, 90, "two groups")
    inbox(page, 2)
    site.restart_web()
    expect(page.locator("#connection")).to_have_text("Caught up", timeout=PATIENT)
    likes([ben], ada, 3)
    expect(page.locator(f"{INBOX} [data-pill]")).to_have_text("3 new")
    page.locator(f"{INBOX} [data-pill]").click()
    expect(lines(page, INBOX)).to_have_count(5)


def test_after_redis_was_away_nothing_is_missing_and_nothing_twice(
    visit: Visit, person: Meet, site: Site, watch: Watch, services: Services
) -> None:
    watch.forgive(*EXPECTED)
    ada, ben = person("Ada"), person("Ben")
    page = visit(ada)
    page.goto("/")
    live(page)
    posts = [ada.posts(f"Post {place}") for place in range(4)]
    ben.likes(posts[0])
    expect(page.locator("#badge")).to_have_text("1")
    services.kill("redis")
    services.start("redis")
    for post in posts[1:]:
        until(partial(_liked, ben, post), 90, "a like is taken again")

    expect(page.locator("#badge")).to_have_text("4", timeout=PATIENT)
    opened(page, 4)
    site.complete()


def _liked(ben: Person, post: str) -> bool:
    try:
        ben.likes(post)
    except OSError:
        return False
    return True


def test_a_lost_history_is_said_and_loaded_afresh(
    visit: Visit, person: Meet, site: Site, watch: Watch, books: Engine
) -> None:
    watch.forgive(*EXPECTED)
    ada, ben = person("Ada"), person("Ben")
    likes([ben], ada, 2)
    page = visit(ada)
    page.goto("/")
    live(page)
    expect(page.locator("#badge")).to_have_text("2")
    _new_epoch(books)
    site.restart_web()
    expect(page.locator("#connection")).to_have_text(
        "Older changes could not be recovered, reloaded", timeout=PATIENT
    )
    likes([ben], ada, 1)
    expect(page.locator("#badge")).to_have_text("3")


def _new_epoch(engine: Engine) -> None:
    with engine.begin() as sql:
        sql.execute(text("update epochs set value = uuidv7() where name = 'frames'"))


def test_the_page_brings_a_new_token_to_each_connection(
    visit: Visit, person: Meet, site: Site, watch: Watch
) -> None:
    watch.forgive(*EXPECTED)
    ada = person("Ada")
    page: Page = visit(ada)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/session/token" in one.url else None)
    page.goto("/")
    live(page)
    before = len(asked)
    site.restart_web()
    expect(page.locator("#connection")).to_have_text("Caught up", timeout=PATIENT)
    assert len(asked) > before
