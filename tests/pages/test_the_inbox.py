"""The page /notifications: all of it without scripts, and the same list with them."""

from playwright.sync_api import expect

from tests.pages.bell import INBOX, inbox, likes, lines
from tests.pages.conftest import Meet, Visit
from tests.services.crew import until


def test_without_scripts_it_lists_marks_and_archives(visit: Visit, person: Meet) -> None:
    ada, ben = person("Ada"), person("Ben")
    posts = likes([ben], ada, 3)
    ben.posts(f"Hello @{ada.username}")
    until(lambda: ada.unread() == 4, 30, "four groups")
    page = visit(ada, java_script_enabled=False)
    page.goto("/notifications")
    expect(lines(page, INBOX)).to_have_count(4)
    expect(page.locator(f'{INBOX} a.group-line[href="/posts/{posts[0]}"]')).to_have_count(1)

    page.get_by_role("button", name="Mark as read", exact=True).first.click()
    expect(page.get_by_role("button", name="Mark as unread")).to_have_count(1)
    page.get_by_role("button", name="Archive").last.click()
    expect(lines(page, INBOX)).to_have_count(3)
    page.locator(f"{INBOX} [data-tab=unread]").click()
    expect(lines(page, INBOX)).to_have_count(2)
    expect(page.locator(f"{INBOX} [data-tab=unread] [data-count]")).to_have_text("2")
    page.locator(f"{INBOX} [data-tab=all]").click()
    page.locator(INBOX).get_by_label("Kind").select_option("LIKE")
    page.locator(INBOX).get_by_role("button", name="Show").click()
    expect(lines(page, INBOX)).to_have_count(2)
    page.locator(f"{INBOX} [data-tab=all]").click()
    page.locator(INBOX).get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("button", name="Mark as read", exact=True)).to_have_count(0)
    assert ada.unread() == 0


def test_without_scripts_it_goes_on_by_its_cursor(visit: Visit, person: Meet) -> None:
    ada, ben = person("Ada"), person("Ben")
    likes([ben], ada, 22)
    until(lambda: ada.unread() == 22, 30, "all groups")
    page = visit(ada, java_script_enabled=False)
    page.goto("/notifications")
    expect(lines(page, INBOX)).to_have_count(20)
    page.locator(f"{INBOX} [data-more]").click()
    expect(lines(page, INBOX)).to_have_count(2)


def test_the_address_keeps_the_view(visit: Visit, person: Meet) -> None:
    ada, ben = person("Ada"), person("Ben")
    likes([ben], ada, 2)
    ben.posts(f"Hello @{ada.username}")
    until(lambda: ada.unread() == 3, 30, "three groups")
    page = visit(ada)
    inbox(page, 3)
    page.locator(f"{INBOX} [data-tab=mentions]").click()
    expect(lines(page, INBOX)).to_have_count(1)
    expect(page).to_have_url("/notifications?tab=mentions")
    page.reload()
    expect(lines(page, INBOX)).to_have_count(1)


def test_going_back_finds_the_place_again(visit: Visit, person: Meet) -> None:
    ada, ben = person("Ada"), person("Ben")
    likes([ben], ada, 25)
    until(lambda: ada.unread() == 25, 30, "all groups")
    page = visit(ada)
    inbox(page, 20)
    page.locator(f"{INBOX} [data-more]").click()
    expect(lines(page, INBOX)).to_have_count(25)
    link = lines(page, INBOX).last.locator("a.group-line")
    link.scroll_into_view_if_needed()
    left = page.evaluate("scrollY")
    link.click()
    page.wait_for_url("**/posts/**")
    page.go_back()
    expect(lines(page, INBOX)).to_have_count(25)
    until(lambda: abs(page.evaluate("scrollY") - left) < 120, 20, "the place where they were")
