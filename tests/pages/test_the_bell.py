"""The bell's panel: what it shows, its keys, its undo; and nothing moves while somebody reads."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.bell import INBOX, PANEL, inbox, likes, lines, live, opened
from tests.pages.conftest import Meet, Visit
from tests.pages.looks import (
    LOOKS,
    Look,
    check_axe,
    check_width,
    moved,
    picture,
    shifts,
    watch_shifts,
)
from tests.pages.person import Person
from tests.pages.watch import Watch
from tests.services.crew import until

NAMES = ("Ben", "Cem Kaya", "Dora", "Eva", "Fay", "Gus")
PHONE = Look(375, 720, "light")
PLACES = (
    f"[...document.querySelectorAll('{PANEL} [data-notification], {INBOX} [data-notification]')]"
    ".map((one) => one.dataset.notification + one.getBoundingClientRect().top)"
)


@pytest.fixture
def ada(person: Meet) -> Person:
    """Four groups: likes by six, a comment, a mention, a follower."""
    ada, others = person("Ada Lovelace"), [person(name) for name in NAMES]
    post = ada.posts("A first post")
    for one in others:
        one.likes(post)
    others[0].follows(ada)
    others[1].comments(post, "What a lovely thing to write, and how long it goes on, truly!")
    others[2].posts(f"Hello @{ada.username}")
    return ada


@pytest.fixture
def feed(visit: Visit, ada: Person) -> Page:
    page = visit(ada)
    page.goto("/")
    live(page)
    expect(page.locator("#badge")).to_have_text("4")
    return page


@pytest.mark.parametrize("look", LOOKS)
def test_the_panel_and_the_inbox_please_in_every_look(
    visit: Visit, ada: Person, look: Look
) -> None:
    page = visit(ada, look=look)
    page.goto("/")
    expect(page.locator("#badge")).to_have_text("4")
    panel = opened(page, 4)
    picture(page, f"panel-{look.name}")
    check_axe(page)
    check_width(page)
    panel.get_by_role("button", name="Who?").first.click()
    expect(panel.locator(".group-people li")).to_have_count(6)
    panel.get_by_role("button", name="Why did this come?").last.click()
    expect(panel.locator(".group-steps")).to_contain_text("It was announced")
    picture(page, f"panel-open-{look.name}")
    check_axe(page)
    inbox(page, 4)
    picture(page, f"inbox-{look.name}")
    check_axe(page)
    check_width(page)


def test_a_group_shows_four_faces_and_names_them_once(feed: Page) -> None:
    panel = opened(feed, 4)
    group = panel.locator("[data-notification]", has_text="liked your post")

    expect(group.locator("a.group-line")).to_have_text("Gus and 5 others liked your post")
    expect(group.get_by_role("img")).to_have_accessible_name("Gus, Fay, Eva, Dora, and 2 others")
    expect(group.locator(".faces .avatar")).to_have_count(4)
    expect(group.locator(".faces-more")).to_have_text("+2")


def test_the_panel_takes_the_focus_and_gives_it_back(feed: Page) -> None:
    opened(feed, 4)
    expect(feed.locator("#bell-inbox-title")).to_be_focused()
    expect(feed.locator("#bell-button")).to_have_attribute("aria-expanded", "true")

    feed.keyboard.press("Escape")

    expect(feed.locator(PANEL)).to_be_hidden()
    expect(feed.locator("#bell-button")).to_be_focused()
    expect(feed.locator("#bell-button")).to_have_attribute("aria-expanded", "false")


def test_a_click_outside_closes_the_panel(feed: Page) -> None:
    opened(feed, 4)
    feed.locator("main h1").click(force=True)
    expect(feed.locator(PANEL)).to_be_hidden()


def test_on_a_phone_the_focus_stays_in_the_sheet(visit: Visit, ada: Person) -> None:
    page = visit(ada, look=PHONE)
    page.goto("/")
    expect(page.locator("#badge")).to_have_text("4")
    opened(page, 4)
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(f"document.querySelector('{PANEL}').contains(document.activeElement)")


def test_the_keys_walk_mark_and_archive(feed: Page, ada: Person) -> None:
    opened(feed, 4)
    links = feed.locator(f"{PANEL} a.group-line")
    feed.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    feed.keyboard.press("ArrowDown")
    feed.keyboard.press("j")
    feed.keyboard.press("k")
    expect(links.nth(1)).to_be_focused()

    feed.keyboard.press("u")
    expect(feed.locator("#badge")).to_have_text("3")
    feed.keyboard.press("u")
    expect(feed.locator("#badge")).to_have_text("4")
    second = lines(feed).nth(1).get_attribute("data-notification")
    feed.keyboard.press("e")
    expect(feed.locator(f'[data-notification="{second}"]')).to_have_count(0)
    expect(links.nth(1)).to_be_focused()
    feed.keyboard.press("?")
    expect(feed.locator(f"{PANEL} [data-help]")).to_be_visible()
    feed.keyboard.press("Shift+U")
    expect(feed.locator("#badge")).to_be_hidden()
    assert ada.unread() == 0


def test_single_keys_can_be_switched_off(feed: Page) -> None:
    opened(feed, 4)
    feed.keyboard.press("?")
    feed.get_by_label("Single-key shortcuts").uncheck()
    feed.locator("#bell-inbox-title").focus()
    feed.keyboard.press("j")
    expect(feed.locator("#bell-inbox-title")).to_be_focused()
    feed.keyboard.press("ArrowDown")
    expect(feed.locator(f"{PANEL} a.group-line").first).to_be_focused()


def test_the_counts_of_the_tabs_are_what_they_show(feed: Page) -> None:
    panel = opened(feed, 4)
    lines(feed).nth(0).get_by_role("button", name="Mark as read").click()
    for tab, count in (("unread", 3), ("mentions", 1), ("all", 4)):
        panel.locator(f"[data-tab={tab}]").click()
        expect(lines(feed)).to_have_count(count)
        expect(panel.locator(f"[data-tab={tab}] [data-count]")).to_have_text(str(count))
    panel.get_by_label("Kind").select_option("LIKE")
    expect(lines(feed)).to_have_count(1)
    expect(lines(feed)).to_contain_text("Gus and 5 others liked your post")
    expect(panel.locator("[data-tab=all] [data-count]")).to_have_text("1")


def test_archiving_and_marking_all_can_be_undone(feed: Page, ada: Person) -> None:
    panel = opened(feed, 4)
    lines(feed).nth(1).get_by_role("button", name="Archive").click()
    expect(lines(feed)).to_have_count(3)
    expect(feed.locator("#badge")).to_have_text("3")
    panel.get_by_role("button", name="Undo").click()
    expect(lines(feed)).to_have_count(4)
    expect(feed.locator("#badge")).to_have_text("4")

    lines(feed).nth(0).get_by_role("button", name="Mark as read").click()
    expect(feed.locator("#badge")).to_have_text("3")
    panel.get_by_role("button", name="Mark all as read").click()
    expect(feed.locator("#badge")).to_be_hidden()
    panel.get_by_role("button", name="Undo").click()
    expect(feed.locator("#badge")).to_have_text("3")  # the one read before stays read
    assert ada.unread() == 3


def test_what_fails_is_taken_back_and_said(feed: Page, watch: Watch) -> None:
    watch.forgive("503")
    opened(feed, 4)
    feed.route("**/api/notifications/*/archive", lambda route: route.fulfill(
        status=503, json={"success": False, "error": "Please try again later", "code": "away"}
    ))  # fmt: skip
    lines(feed).nth(0).get_by_role("button", name="Archive").click()

    expect(feed.locator(f"{PANEL} [data-undo]")).to_contain_text("Nothing was changed")
    expect(lines(feed)).to_have_count(4)
    expect(feed.locator("#badge")).to_have_text("4")


def test_opening_is_seen_and_only_acting_is_read(feed: Page, ada: Person) -> None:
    opened(feed, 4)
    expect(feed.locator("#badge")).to_contain_class("calm")
    until(lambda: all(one["seenAt"] for one in ada.notifications()), 20, "all seen")
    assert not any(one["isRead"] for one in ada.notifications())

    lines(feed).locator("a.group-line", has_text="mentioned you").click()
    feed.wait_for_url("**/posts/**")
    expect(feed.locator("#badge")).to_have_text("3")
    assert [one["type"] for one in ada.notifications() if one["isRead"]] == ["MENTION"]


def _hundred_changes(ada: Person, others: list[Person], first: str) -> None:
    """Ten new groups of five, and likes of the first post that come, go and come back."""
    for post in [ada.posts(f"Post {place}") for place in range(10)]:
        for other in others:
            other.likes(post)
    for on in (True, False, True, False, True, False, True, False, True):
        for other in others:
            other.likes(first, on)
    for other in others:
        other.follows(ada)


def test_a_hundred_changes_move_nothing_that_somebody_reads(
    visit: Visit, ada: Person, person: Meet
) -> None:
    page = visit(ada)
    page.goto("/")
    live(page)
    expect(page.locator("#badge")).to_have_text("4")
    opened(page, 4)
    page.keyboard.press("j")
    tab = page.context.new_page()
    inbox(tab, 4)
    others = [person(name) for name in ("Hal", "Ida", "Jon", "Kim", "Leo")]
    first = next(one for one in ada.notifications() if one["type"] == "LIKE")["targetId"]
    places = page.evaluate(PLACES), tab.evaluate(PLACES)
    for one in (page, tab):
        watch_shifts(one)

    _hundred_changes(ada, others, first)

    for one, where in ((page, PANEL), (tab, INBOX)):
        expect(one.locator(f"{where} [data-pill]")).to_have_text("10 new")
        expect(lines(one, where)).to_have_count(4)
        expect(one.locator(f"{where} .group-line", has_text="liked")).to_contain_text("10 others")
    assert (page.evaluate(PLACES), tab.evaluate(PLACES)) == places
    assert (shifts(page), shifts(tab)) == (0.0, 0.0), (moved(page), moved(tab))
    expect(page.locator(f"{PANEL} a.group-line").first).to_be_focused()

    page.locator(f"{PANEL} [data-pill]").click()
    expect(lines(page)).to_have_count(14)
    expect(page.locator(f"{PANEL} [data-tab=all] [data-count]")).to_have_text("14")
    expect(page.locator("#badge")).to_have_text("14")
    assert ada.unread() == 14


def test_the_list_goes_on_by_its_cursor(visit: Visit, person: Meet) -> None:
    ada, ben = person("Ada"), person("Ben")
    likes([ben], ada, 23)
    page = visit(ada)
    page.goto("/")
    expect(page.locator("#badge")).to_have_text("23")
    panel = opened(page, 20)
    panel.get_by_role("button", name="Load more").click()
    expect(lines(page)).to_have_count(23)
    expect(panel.get_by_role("button", name="Load more")).to_be_hidden()


def test_what_cannot_be_loaded_can_be_tried_again(feed: Page, watch: Watch) -> None:
    watch.forgive("503")
    feed.route("**/api/notifications/**", lambda route: route.fulfill(
        status=503, json={"success": False, "error": "Please try again later", "code": "away"}
    ))  # fmt: skip
    feed.locator("#bell-button").click()
    again = feed.locator(PANEL).get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    feed.unroute("**/api/notifications/**")
    again.click()
    expect(lines(feed)).to_have_count(4)
