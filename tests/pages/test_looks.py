"""Every page of the social network, on a desk and a phone, light and dark: axe finds nothing, and
nothing is wider than the window. LOOK_DIR=/tmp/look keeps a picture of each.
"""

from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Visit
from tests.pages.looks import LOOKS, Look, check_axe, check_targets, check_width, picture
from tests.pages.person import Person, newcomer
from tests.pages.site import Site

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Town:
    """Three people, two posts, a conversation: enough for each page to show something."""

    ada: Person
    ben: Person
    post: str


@pytest.fixture(scope="module")
def town(_site: Site) -> Town:
    ada, ben, cem = (newcomer(_site.url, name) for name in ("Ada Lovelace", "Ben Okri", "Cem"))
    for one in (ben, cem):
        one.follows(ada)
    swim = ada.posts(f"First swim of the year. Cold, bright. @{ben.username} was there too.")
    bread = ben.posts("Does anybody else name their sourdough starters?\n\nMine: Bread Pitt.")
    for one in (ben, cem):
        one.likes(swim)
    ada.likes(bread)
    said = ben.comments(swim, "Lovely! Count me in next time.")
    deeper = ben.replies(ada.replies(said, "Thursday at seven?"), f"Done. @{cem.username}")
    for word in ("Where?", "At the bridge.", "Fine.", "Good.", "See you."):
        deeper = cem.replies(deeper, word)
    cem.comments(swim, "Brrr.")
    ada.call("PATCH", f"/api/users/{ada.id}", {"bio": "Mathematics, engines, cold water."})
    ada.call("PUT", f"/api/bookmarks/{bread}")
    ada.call("PUT", f"/api/mutes/users/{cem.id}")
    return Town(ada, ben, swim)


def signed_in(town: Town) -> dict[str, str]:
    """Names of pictures, and the pages."""
    ada, ben = town.ada.username, town.ben.username
    return {
        "feed": "/",
        "post": f"/posts/{town.post}",
        "likes": f"/posts/{town.post}/likes",
        "profile": f"/users/{ben}",
        "profile-own": f"/users/{ada}",
        "followers": f"/users/{ada}/followers",
        "following": f"/users/{ben}/following",
        "search": "/search",
        "searched": "/search?q=ben",
        "nobody-found": "/search?q=zzzzqqqq",
        "bookmarks": "/bookmarks",
        "preferences": "/preferences",
    }


ANONYMOUS = {
    "login": "/login",
    "register": "/register",
    "forgotten": "/password/forgotten",
    "reset": "/password/reset?token=abc",
}


def inspect(page: Page, pages: dict[str, str], look: Look) -> None:
    faults = []
    for name, path in pages.items():
        page.goto(path)
        picture(page, f"{name}-{look.name}")
        for check in (check_axe, check_targets, check_width):
            try:
                check(page)
            except AssertionError as fault:
                faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("look", LOOKS)
def test_pages_of_somebody_signed_in(visit: Visit, town: Town, look: Look) -> None:
    inspect(visit(town.ada, look=look), signed_in(town), look)


@pytest.mark.parametrize("look", LOOKS)
def test_pages_of_the_anonymous(visit: Visit, look: Look) -> None:
    inspect(visit(None, look=look), ANONYMOUS, look)


def test_a_page_is_no_wider_than_the_narrowest_phone(visit: Visit, town: Town) -> None:
    page = visit(town.ada, look=Look(320, 640, "light"))
    for path in signed_in(town).values():
        page.goto(path)
        check_width(page)


def test_who_asks_for_calm_gets_no_animation(visit: Visit, town: Town) -> None:
    page = visit(town.ada, reduced_motion="reduce")
    page.goto(f"/posts/{town.post}")
    like = page.get_by_role("button", name="Like")
    like.click()
    expect(like).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.getAnimations().length") == 0


def test_colours_of_the_machines_own_leave_everything_in_place(visit: Visit, town: Town) -> None:
    page = visit(town.ada, forced_colors="active")
    page.goto(f"/posts/{town.post}")
    picture(page, "post-forced-colours")
    check_axe(page)
