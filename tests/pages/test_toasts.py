"""Toasts: three at most, one of a group, in one tab, none about what is on screen or in the way."""

from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.pages.bell import PANEL, likes, lines, listening, most_at_once, opened, rung
from tests.pages.conftest import Meet, Visit
from tests.pages.looks import Look
from tests.pages.person import Person
from tests.services.crew import until


@pytest.fixture
def ada(person: Meet) -> Person:
    return person("Ada")


@pytest.fixture
def others(person: Meet) -> list[Person]:
    return [person(name) for name in ("Ben", "Cem", "Dora")]


@pytest.fixture
def feed(visit: Visit, ada: Person) -> Page:
    page = visit(ada)
    page.goto("/")
    listening(page)
    return page


def test_there_are_three_at_most_and_none_takes_the_focus(
    feed: Page, ada: Person, others: list[Person]
) -> None:
    feed.locator("textarea").first.focus()
    likes(others, ada, 5)
    until(lambda: len(rung(feed)) == 5, 30, "five toasts")
    assert most_at_once(feed) <= 3
    expect(feed.locator("textarea").first).to_be_focused()


def test_one_of_a_group_replaces_the_one_before_it(
    feed: Page, ada: Person, others: list[Person]
) -> None:
    post = ada.posts("Hello")
    for one in others:
        one.likes(post)
    said = [f"{one.name} liked your post" for one in others]
    until(lambda: sorted(rung(feed)) == said, 30, "three toasts")
    assert most_at_once(feed) == 1


def test_it_stays_while_somebody_looks_at_it_and_leaves_then(
    feed: Page, ada: Person, others: list[Person]
) -> None:
    feed.clock.install()
    others[0].likes(ada.posts("Hello"))
    expect(feed.locator(".toast")).to_have_count(1)
    feed.locator(".toast").hover()
    feed.clock.run_for(60_000)
    expect(feed.locator(".toast")).to_have_count(1)
    feed.mouse.move(5, 5)
    feed.clock.run_for(4_900)
    expect(feed.locator(".toast")).to_have_count(1)
    feed.clock.run_for(2_000)
    expect(feed.locator(".toast")).to_have_count(0)


def test_a_critical_one_is_an_alert_and_stays_until_it_is_closed(feed: Page, ada: Person) -> None:
    feed.clock.install()
    ada.call("POST", "/api/auth/otp/request", {})
    alert = feed.get_by_role("alert")
    expect(alert).to_contain_text("Your code is")
    feed.clock.run_for(600_000)
    expect(alert).to_be_visible()
    feed.keyboard.press("Escape")
    expect(feed.locator(".toast")).to_have_count(0)


def test_two_tabs_one_toast_and_equal_badges(feed: Page, ada: Person, others: list[Person]) -> None:
    tab = feed.context.new_page()
    tab.goto("/")
    listening(tab)
    likes(others, ada, 2)
    for page in (feed, tab):
        expect(page.locator("#badge")).to_have_text("2")
        expect(page).to_have_title("(2) Home · Chime")
        assert "data:image/svg" in str(page.locator("link[rel=icon]").get_attribute("href"))
    until(lambda: len(rung(tab)) == 2, 20, "both toasts in the tab that was opened last")
    assert rung(feed) == []

    opened(feed, 2)
    lines(feed).first.get_by_role("button", name="Mark as read").click()
    expect(tab.locator("#badge")).to_have_text("1")
    feed.keyboard.press("Escape")
    tab.close()
    others[2].likes(ada.posts("After the other tab has gone"))
    until(lambda: len(rung(feed)) == 1, 20, "a toast in the tab that is left")


def test_a_toast_goes_when_its_line_is_read_elsewhere(
    feed: Page, ada: Person, others: list[Person]
) -> None:
    likes(others, ada, 1)
    expect(feed.locator(".toast")).to_have_count(1)
    feed.locator(".toast").hover()
    ada.call("PATCH", f"/api/notifications/{ada.notifications()[0]['id']}/read")
    expect(feed.locator(".toast")).to_have_count(0)


def test_none_is_shown_about_what_is_on_screen(
    feed: Page, ada: Person, others: list[Person]
) -> None:
    post = ada.posts("Hello")
    tab = feed.context.new_page()
    tab.goto(f"/posts/{post}")
    listening(tab)
    others[0].likes(post)
    for page in (feed, tab):
        expect(page.locator("#badge")).to_have_text("1")
    opened(feed, 1)
    others[1].likes(ada.posts("While the panel is open"))
    expect(feed.locator(f"{PANEL} [data-pill]")).to_have_text("1 new")
    expect(tab.locator("#badge")).to_have_text("2")
    feed.keyboard.press("Escape")
    others[2].likes(ada.posts("After it was closed"))
    until(lambda: rung(feed) + rung(tab) == ["Dora liked your post"], 20, "only the last one rings")


def test_on_a_phone_it_does_not_cover_what_is_being_written(
    visit: Visit, ada: Person, others: list[Person]
) -> None:
    page = visit(ada, look=Look(375, 720, "light"))
    page.goto(f"/posts/{ada.posts('Here')}")
    listening(page)
    likes(others, ada, 1)
    expect(page.locator(".toast")).to_have_count(1)
    page.locator(".toast").hover()
    likes(others, ada, 2)
    until(lambda: len(rung(page)) == 3, 20, "three toasts")
    field = page.get_by_label("Your comment").first
    field.focus()
    field.click(trial=True)
    assert page.evaluate(
        """() => {
          const box = document.activeElement.getBoundingClientRect();
          return [...document.querySelectorAll(".toast")].every((toast) => {
            const it = toast.getBoundingClientRect();
            return it.bottom <= box.top || it.top >= box.bottom;
          });
        }"""
    )


def test_what_is_not_wanted_on_screens_rings_nowhere(
    feed: Page, ada: Person, others: list[Person]
) -> None:
    matrix = {"LIKE": {"push": False, "email": True, "sms": False}}
    ada.call("PATCH", f"/api/preferences/{ada.id}", {"matrix": matrix})
    others[0].likes(ada.posts("Hello"))
    expect(feed.locator("#badge")).to_have_text("1")
    others[1].follows(ada)
    until(lambda: rung(feed) == ["Cem started following you"], 20, "only the follower rings")


def test_increases_are_said_aloud_now_and_then_and_decreases_never(
    feed: Page, ada: Person, others: list[Person]
) -> None:
    feed.evaluate(
        """() => {
          window.__said = [];
          const box = document.getElementById("announcer");
          new MutationObserver(() => window.__said.push([performance.now(), box.textContent]))
            .observe(box, { childList: true, characterData: true, subtree: true });
        }"""
    )
    likes(others, ada, 4)
    four = "() => window.__said.at(-1)?.[1] === '4 unread notifications'"
    until(lambda: feed.evaluate(four), 30, "four are said")
    ada.call("PATCH", f"/api/notifications/{ada.id}/read-all")
    expect(feed.locator("#badge")).to_be_hidden()
    said = feed.evaluate("window.__said")
    assert all(later - earlier >= 4900 for (earlier, _), (later, _) in pairwise(said))
    assert said[-1][1] == "4 unread notifications"
