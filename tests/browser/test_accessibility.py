"""Accessibility and width of every page for users: from 320 to 1920 px, light and dark.

SCREENSHOT_DIR=/tmp/screenshots saves a screenshot of each page.
"""

from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.accessibility import (
    DISPLAY_PROFILES,
    DisplayProfile,
    assert_accessible,
    assert_no_horizontal_scroll,
    assert_target_sizes,
    save_screenshot,
)
from tests.support.server import WebServer
from tests.support.user import BrowserUser, register_browser_user

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class SampleContent:
    """Users, one of their posts, and enough around them that no page is empty."""

    ada: BrowserUser
    ben: BrowserUser
    post_id: str


@pytest.fixture(scope="module")
def sample_content(shared_web_server: WebServer) -> SampleContent:
    ada, ben, cem = (
        register_browser_user(shared_web_server.base_url, name)
        for name in ("Ada Lovelace", "Ben Okri", "Cem")
    )
    for user in (ben, cem):
        user.follow(ada)
    swim_post_id = ada.create_post(f"First swim of the year. Cold, bright. @{ben.username} was there too.")
    bread_post_id = ben.create_post("Does anybody else name their sourdough starters?\n\nMine: Bread Pitt.")
    for user in (ben, cem):
        user.like(swim_post_id)
    ada.like(bread_post_id)
    comment_id = ben.comment(swim_post_id, "Lovely! Count me in next time.")
    reply_id = ben.reply(ada.reply(comment_id, "Thursday at seven?"), f"Done. @{cem.username}")
    for content in ("Where?", "At the bridge.", "Fine.", "Good.", "See you."):
        reply_id = cem.reply(reply_id, content)
    cem.comment(swim_post_id, "Brrr.")
    ada.request_ok("PATCH", f"/api/users/{ada.id}", {"bio": "Mathematics, engines, cold water."})
    ada.request_ok("PUT", f"/api/bookmarks/{bread_post_id}")
    ada.request_ok("PUT", f"/api/mutes/users/{cem.id}")
    return SampleContent(ada, ben, swim_post_id)


def logged_in_paths(sample_content: SampleContent) -> dict[str, str]:
    """Name of the screenshot -> path of the page."""
    ada, ben = sample_content.ada.username, sample_content.ben.username
    return {
        "feed": "/",
        "post": f"/posts/{sample_content.post_id}",
        "likes": f"/posts/{sample_content.post_id}/likes",
        "profile": f"/users/{ben}",
        "profile-own": f"/users/{ada}",
        "followers": f"/users/{ada}/followers",
        "following": f"/users/{ben}/following",
        "search": "/search",
        "searched": "/search?q=ben",
        "nobody-found": "/search?q=zzzzqqqq",
        "not-told": "/notifications/not-told",
        "bookmarks": "/bookmarks",
        "preferences": "/preferences",
    }


ANONYMOUS_PATHS = {
    "front-page": "/",
    "login": "/login",
    "register": "/register",
    "forgotten": "/password/forgotten",
    "reset": "/password/reset?token=abc",
}


def check_pages(page: Page, paths: dict[str, str], display_profile: DisplayProfile) -> None:
    failures = []
    for name, path in paths.items():
        page.goto(path)
        save_screenshot(page, f"{name}-{display_profile.name}")
        for check in (assert_accessible, assert_target_sizes, assert_no_horizontal_scroll):
            try:
                check(page)
            except AssertionError as error:
                failures.append(str(error))
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_logged_in_pages_are_accessible_in_every_display_profile(
    open_page: OpenPage, sample_content: SampleContent, display_profile: DisplayProfile
) -> None:
    check_pages(
        open_page(sample_content.ada, display_profile=display_profile),
        logged_in_paths(sample_content),
        display_profile,
    )


@pytest.mark.parametrize("display_profile", DISPLAY_PROFILES)
def test_anonymous_pages_are_accessible_in_every_display_profile(
    open_page: OpenPage, display_profile: DisplayProfile
) -> None:
    check_pages(open_page(None, display_profile=display_profile), ANONYMOUS_PATHS, display_profile)


def test_reduced_motion_disables_animations(open_page: OpenPage, sample_content: SampleContent) -> None:
    page = open_page(sample_content.ada, reduced_motion="reduce")
    page.goto(f"/posts/{sample_content.post_id}")
    like_button = page.get_by_role("button", name="Like")
    like_button.click()
    expect(like_button).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.getAnimations().length") == 0


def test_forced_colors_keep_everything_visible(open_page: OpenPage, sample_content: SampleContent) -> None:
    page = open_page(sample_content.ada, forced_colors="active")
    page.goto(f"/posts/{sample_content.post_id}")
    save_screenshot(page, "post-forced-colours")
    assert_accessible(page)
