"""The bell, its panel and the page /notifications."""

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import Meet, Visit
from tests.pages.looks import LOOKS, Look, check_axe, check_width, picture


@pytest.mark.parametrize("look", LOOKS)
def test_the_panel_pleases_in_every_look(visit: Visit, person: Meet, look: Look) -> None:
    ada, others = (
        person("Ada Lovelace"),
        [person(name) for name in ("Ben", "Cem Kaya", "Dora", "Eva", "Fay", "Gus")],
    )
    post = ada.posts("A first post")
    for one in others:
        one.likes(post)
    others[0].follows(ada)
    others[1].comments(
        post, "What a lovely thing to write, and how long it goes on before it ends at last!"
    )
    others[2].posts(f"Hello @{ada.username}")
    page = visit(ada, look=look)
    page.goto("/")
    expect(page.locator("#badge")).to_have_text("4")
    page.get_by_role("button", name="Notifications, 4 unread").click()
    expect(page.locator("#bell-panel [data-notification]")).to_have_count(4)
    picture(page, f"panel-{look.name}")
    check_axe(page)
    check_width(page)
    page.locator("#bell-panel").get_by_role("button", name="Who?").first.click()
    expect(page.locator("#bell-panel .group-people li")).to_have_count(6)
    picture(page, f"panel-who-{look.name}")
    check_axe(page)
    page.goto("/notifications")
    expect(page.locator("#page-inbox .group-tools [aria-expanded]").first).to_be_visible()
    picture(page, f"inbox-{look.name}")
    check_axe(page)
    check_width(page)
