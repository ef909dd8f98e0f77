"""Takes the screenshots in docs/screenshots: python -m tests.support.screenshots, against BASE_URL.

Needs a system started by `make run` in this folder, preferably with short windows. Each file stays below
60 kB.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM_ARGS
from tests.conftest import ROOT
from tests.support.accessibility import DisplayProfile
from tests.support.user import BrowserUser, register_browser_user

SCREENSHOT_DIR = ROOT / "docs/screenshots"
MAX_SCREENSHOT_BYTES = 60_000
DESKTOP_LIGHT, DESKTOP_DARK = DisplayProfile(1280, 800, "light"), DisplayProfile(1280, 800, "dark")
PHONE_LIGHT, PHONE_DARK = DisplayProfile(390, 800, "light"), DisplayProfile(390, 800, "dark")
OTHER_USER_NAMES = (
    "Ben Okri",
    "Cem Aydin",
    "Dina Haddad",
    "Eli Novak",
    "Fay Lindqvist",
    "Gus Moreau",
)


def save_webp_screenshot(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    cdp_session = page.context.new_cdp_session(page)
    for quality in (80, 60, 40, 20):
        screenshot = cdp_session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        image_bytes = base64.b64decode(screenshot["data"])
        if len(image_bytes) <= MAX_SCREENSHOT_BYTES:
            break
    SCREENSHOT_DIR.mkdir(parents=True, exist_ok=True)
    Path(SCREENSHOT_DIR / f"{name}.webp").write_bytes(image_bytes)


def open_page_as(browser: Browser, user: BrowserUser, display_profile: DisplayProfile) -> Page:
    context = browser.new_context(
        base_url=user.base_url, timezone_id="Europe/Berlin", **display_profile.context_options
    )
    context.add_cookies(user.cookies)  # type: ignore[arg-type]
    return context.new_page()


def create_sample_content(base_url: str) -> tuple[BrowserUser, str]:
    """Returns a user and one of her posts, with likes, comments and followers of others."""
    ada, *others = (register_browser_user(base_url, name) for name in ("Ada Lovelace", *OTHER_USER_NAMES))
    bread_post_id = others[0].create_post(
        "Does anybody else name their sourdough starters? Mine: Bread Pitt."
    )
    bridge_post_id = others[1].create_post("The old bridge is open again!")
    swim_post_id = ada.create_post("First morning swim of the year. Cold, bright, worth it.")
    ada.follow(others[0])
    for other in others:
        other.like(swim_post_id)
        other.follow(ada)
        other.like(bridge_post_id)
    ada.like(bread_post_id)
    comment_id = others[2].comment(swim_post_id, "Lovely! Count me in next time.")
    others[3].reply(ada.reply(comment_id, "Thursday at seven, by the bridge?"), "Done.")
    others[4].comment(swim_post_id, "Brrr. How cold exactly?")
    return ada, swim_post_id


def make_admin(user: BrowserUser) -> None:
    """Grants the role "admin", which the figures of the dashboard need."""
    admin_command = ["-m", "app.admin", "create-admin", user.email]
    command = [sys.executable, "-m", "infra", "exec", "--", sys.executable, *admin_command]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def main() -> int:
    base_url = os.environ.get("BASE_URL", "http://127.0.0.1:8000")
    ada, swim_post_id = create_sample_content(base_url)
    make_admin(ada)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGS))
        page = open_page_as(browser, ada, DESKTOP_LIGHT)
        page.goto("/")
        expect(page.locator("#badge")).to_be_visible()
        page.locator("#bell-button").click()
        save_webp_screenshot(page, "feed-and-bell")
        page = open_page_as(browser, ada, DESKTOP_DARK)
        page.goto("/dashboard")
        expect(page.locator("#pipeline-diagram .rate").first).to_contain_text(re.compile(r"[0-9]"))
        pipeline = page.get_by_role("heading", name="Pipeline")
        pipeline.evaluate("(element) => element.scrollIntoView({ block: 'start' })")
        save_webp_screenshot(page, "dashboard")
        page = open_page_as(browser, ada, PHONE_DARK)
        page.goto(f"/posts/{swim_post_id}")
        save_webp_screenshot(page, "post-phone")
        page = open_page_as(browser, ada, PHONE_LIGHT)
        page.goto("/preferences")
        save_webp_screenshot(page, "preferences-phone")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
